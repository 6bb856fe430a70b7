"""torchft on loopback: replicas as processes, killed, stopped and without power, each started again at once.

It is installed into a virtual environment of its own, which sees this one's torch. What it is given is its
best setting: heartbeats missed for a second are a loss, and nobody waits longer for one who may come.
Nothing is shaped, and there are no partitions, as all replicas share one network.
"""

import json
import os
import random
import signal
import site
import subprocess
import sys
import tempfile
import time
from collections.abc import Iterator, Sequence
from contextlib import contextmanager
from dataclasses import dataclass, field
from pathlib import Path

from benchmarks.faults import DARK_SECONDS, STILL_SECONDS
from benchmarks.harness import Row
from benchmarks.living import Absence, Committed, goodput, longest_wait
from benchmarks.steps import BEGIN_MARK, STEP_MARK, Begin, lines_of, said_after
from benchmarks.waiting import sleep_until, wait_for
from edgetrain_local.ports import free_port

VERSION = "0.2.0"
ROOT = Path(__file__).parent.parent.parent / "build" / "torchft"
PROGRAM = Path(__file__).parent.parent / "programs" / "torchft_journal.py"
NEEDED = (
    f"torchft=={VERSION}",
    "opentelemetry-api>=1.39.0",
    "opentelemetry-sdk>=1.39.0",
    "opentelemetry-exporter-otlp-proto-http>=1.39.0",
)
_START_SECONDS = 240.0
_LOOK_SECONDS = 0.2


class Absent(Exception):
    """It could not be had or did not run; the text says what was seen."""


@dataclass
class Replicas:
    """The replicas that run, each with a log that outlives its processes."""

    python: Path
    folder: Path
    arguments: Sequence[str]
    environment: dict[str, str]
    running: dict[str, subprocess.Popen[bytes]] = field(default_factory=dict)
    held_down: set[str] = field(default_factory=set)
    """Without power: not to be started."""

    def start(self, replica: str) -> None:
        with (self.folder / f"{replica}.log").open("ab") as log:
            line = [str(self.python), str(PROGRAM), replica, *self.arguments]
            self.running[replica] = subprocess.Popen(
                line, stdout=log, stderr=subprocess.STDOUT, env=self.environment
            )

    def tend(self, until: float) -> None:
        """Start again whoever has ended, until this Unix time."""
        while time.time() < until:
            for replica, process in self.running.items():
                if replica not in self.held_down and process.poll() is not None:
                    self.start(replica)
            sleep_until(min(until, time.time() + _LOOK_SECONDS))

    def lines(self, mark: str) -> Iterator[tuple[str, dict[str, float]]]:
        for log in self.folder.glob("*.log"):
            for line in lines_of(log.read_text(errors="replace")):
                if said := said_after(mark, line):
                    yield log.stem, said

    def steps(self) -> list[Committed]:
        """Each step once."""
        first: dict[float, Committed] = {}
        for _, said in self.lines(STEP_MARK):
            step = Committed(said["at"], int(said["samples"]))
            if said["step"] not in first or step.at < first[said["step"]].at:
                first[said["step"]] = step
        return list(first.values())

    def begun(self) -> list[Begin]:
        return [Begin(replica, said["at"]) for replica, said in self.lines(BEGIN_MARK)]

    def training(self) -> set[str]:
        """Who has committed a step."""
        return {replica for replica, _ in self.lines(STEP_MARK)}


# --- faults


def kill(replicas: Replicas, replica: str) -> Absence:
    began = time.time()
    replicas.running[replica].kill()
    return Absence(replica, began, began, kills=True)


def stop(replicas: Replicas, replica: str) -> Absence:
    began, process = time.time(), replicas.running[replica]
    process.send_signal(signal.SIGSTOP)
    replicas.tend(began + STILL_SECONDS)
    process.send_signal(signal.SIGCONT)
    return Absence(replica, began, time.time(), kills=False)


def cut_power(replicas: Replicas, replica: str) -> Absence:
    began = time.time()
    replicas.held_down.add(replica)
    replicas.running[replica].kill()
    replicas.tend(began + DARK_SECONDS)
    replicas.held_down.clear()
    return Absence(replica, began, time.time(), kills=True)


FAULTS = (kill, stop, cut_power)


# --- the measurement


def rows(
    workers: int, batch: int, sample_seconds: float, faults: int, every: float, fault_free: float, seed: int
) -> list[Row]:
    """Goodput of `workers` replicas with `batch` samples each, one fault `every` so many seconds."""
    try:
        python = installed()
        with replicas(python, workers, [str(batch), str(sample_seconds)]) as running:
            return measured(running, faults, every, fault_free, random.Random(seed))
    except Absent as absent:
        print(f"torchft is absent: {absent}", flush=True)
        return [Row("torchft: absent, see what was printed", 0, "")]


def measured(
    running: Replicas, faults: int, every: float, fault_free: float, chance: random.Random
) -> list[Row]:
    began = time.time()
    running.tend(began + fault_free)
    faulty, names = time.time(), sorted(running.running)
    absences = []
    for number in range(faults):
        absences.append(chance.choice(FAULTS)(running, chance.choice(names)))
        running.tend(faulty + (number + 1) * every)
    steps, spans = running.steps(), ((began, faulty), (faulty, time.time()))
    part = goodput(steps, names, running.begun(), absences, *spans)
    return [
        Row(f"torchft {VERSION}: goodput over {faults} faults", part, "ratio", None, (part,)),
        Row("torchft: longest time in which nobody trains", longest_wait(steps, spans[1]), "s"),
    ]


@contextmanager
def replicas(python: Path, workers: int, arguments: Sequence[str]) -> Iterator[Replicas]:
    """All of them training, with their lighthouse; ended when the block ends."""
    port = free_port()
    environment = {**os.environ, "TORCHFT_LIGHTHOUSE": f"http://127.0.0.1:{port}", "OMP_NUM_THREADS": "1"}
    environment["RUST_LOG"] = "warn"
    with tempfile.TemporaryDirectory() as name, lighthouse(python, port, Path(name)):
        running = Replicas(python, Path(name), arguments, environment)
        try:
            for number in range(workers):
                running.start(f"replica-{number}")
            wait_until_all_train(running)
            yield running
        finally:
            for process in running.running.values():
                process.kill()
                process.wait()


@contextmanager
def lighthouse(python: Path, port: int, folder: Path) -> Iterator[None]:
    words = ["--min_replicas=1", f"--bind=127.0.0.1:{port}"]
    words += ["--heartbeat_timeout_ms=1000", "--join_timeout_ms=1000", "--quorum_tick_ms=50"]
    with (folder / "lighthouse.txt").open("wb") as log:
        process = subprocess.Popen(
            [python.parent / "torchft_lighthouse", *words], stdout=log, stderr=subprocess.STDOUT
        )
    try:
        yield
    finally:
        process.kill()
        process.wait()


def wait_until_all_train(running: Replicas) -> None:
    try:
        wait_for(
            lambda: len(running.training()) == len(running.running), _START_SECONDS, "torchft", every=1.0
        )
    except TimeoutError as late:
        logs = [log.read_text(errors="replace")[-500:] for log in sorted(running.folder.glob("*.log"))]
        raise Absent(f"{late}; {json.dumps(logs)}") from late


def installed() -> Path:
    """The interpreter of the environment that has it; made on first use."""
    python = ROOT / "bin" / "python"
    if (ROOT / VERSION).exists():
        return python
    uv = str(Path(sys.executable).parent / "uv")
    commands = (
        [uv, "venv", "--clear", "--python", sys.executable, str(ROOT)],
        [uv, "pip", "install", "--python", str(python), "--no-deps", NEEDED[0]],
        [uv, "pip", "install", "--python", str(python), *NEEDED[1:]],
    )
    for command in commands:
        done = subprocess.run(command, capture_output=True, text=True)
        if done.returncode:
            raise Absent(f"{' '.join(command)}: {done.stderr.strip()[-500:]}")
    packages = next((ROOT / "lib").glob("python*")) / "site-packages"
    (packages / "torch_of_the_project.pth").write_text("\n".join(site.getsitepackages()) + "\n")
    (ROOT / VERSION).touch()
    return python
