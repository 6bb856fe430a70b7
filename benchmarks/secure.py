"""What it costs that pods prove themselves to one another and encrypt what they say: the time of a step, a
newcomer's transfer of the state, recovery; with AES instructions and without.

By turns with the same code whose pods take each other's word (benchmarks/programs/unencrypted.py), in
namespaces joined by shaped links; no cluster.
"""

import itertools
import json
import os
import platform
import statistics
import subprocess
import sys
import tempfile
import time
from collections import defaultdict
from collections.abc import Iterator, Mapping, Sequence
from contextlib import ExitStack, closing, contextmanager
from dataclasses import dataclass, field
from pathlib import Path

from benchmarks.harness import Goal, Row, end_when_told, median_row, publish
from benchmarks.programs.state_transfer import DONOR
from benchmarks.waiting import wait_for
from edgetrain.ciphers import CPU_INFO, wanted
from edgetrain_protocol.names import STATE_PORT, Env
from tests.support.group import ROOT, TRAINING_PROGRAM, LocalGroup, Worker
from tests.support.identities import JOB, write_identity
from tests.support.wires import Wires, wired

ROUNDS = int(os.environ.get("ROUNDS", "5"))
KILLS = int(os.environ.get("KILLS", "8"))
"""In each round, of each kind."""
MIB = int(os.environ.get("MIB", "128"))
"""Of a newcomer's state."""
LINK = "1000mbit"
WORKERS = ("w0", "w1", "w2")
WIDTH = 175_000
"""Hidden units: 4.2 MB of gradients in each step."""
PAUSE_SECONDS = 0.02
"""Waited in each step, as for a device of its own."""
STEP_SECONDS = 15.0
TRANSFERS = 3
"""In each round."""
START_SECONDS = 120.0
MASKS = {
    "x86_64": {"OPENSSL_ia32cap": "~0x200000200000000:~0x60000000000"},
    "aarch64": {"OPENSSL_armcap": "1"},
}
"""By which OpenSSL takes the processor for one without instructions for AES and for multiplying as GCM does:
bits 57 and 33 on x86, and 41 and 42 of the second word; all but NEON on ARM."""
COST = Goal("<=", 1.03)


@dataclass(frozen=True)
class Way:
    """How pods speak to one another."""

    name: str
    env: Mapping[str, str] = field(default_factory=dict)
    runner: tuple[str, ...] = ()
    """A module that runs theirs."""

    def python(self, *words: str) -> list[str]:
        return [sys.executable, *(["-m", *self.runner] if self.runner else []), *words]


MASK = MASKS.get(platform.machine(), {})
PLAIN = Way("nothing encrypted", runner=("benchmarks.programs.unencrypted",))
WITH_AES = Way("TLS with AES instructions")
WITHOUT_AES = Way("TLS without AES instructions", {**MASK, **wanted("")})
AES_ALL_THE_SAME = Way("AES without its instructions", MASK)
SECURE = (WITH_AES, WITHOUT_AES)

Times = dict[str, list[list[float]]]
"""By way: what was measured, round by round."""


# --- how fast this processor encrypts


def speeds() -> Iterator[Row]:
    """Of each cipher; and whether the instructions are masked indeed.

    Raises:
        RuntimeError: they are not, so that nothing could be said of processors without them.
    """
    rates = {}
    for way in (WITH_AES, AES_ALL_THE_SAME, WITHOUT_AES):
        command = [sys.executable, "-m", "benchmarks.programs.tls_speed"]
        said = subprocess.run(command, env={**os.environ, **way.env}, stdout=subprocess.PIPE, check=True)
        found = json.loads(said.stdout)
        rates[way.name] = found["mb_per_second"]
        yield Row(f"{way.name}: {found['cipher']}", rates[way.name], "MB for a second of a processor")
        yield Row(f"{way.name}: a handshake, both ends", 1000 * found["handshake"], "ms")
    if has_aes() and not rates[AES_ALL_THE_SAME.name] < rates[WITH_AES.name] / 2:
        raise RuntimeError(f"{MASK} masks no AES instructions: {rates}")


def has_aes() -> bool:
    return not wanted(CPU_INFO.read_text())


# --- a group: its steps, and what a loss costs


@contextmanager
def group(way: Way, wires: Wires, directory: Path) -> Iterator[LocalGroup]:
    """That trains already."""

    def command(worker: Worker) -> list[str]:
        words = (str(TRAINING_PROGRAM), str(worker.log), "1000000", str(PAUSE_SECONDS), str(WIDTH))
        return way.python(*words)

    env = {"PYTHONPATH": str(ROOT), "OMP_NUM_THREADS": "1", **way.env}
    with closing(
        LocalGroup(directory, command, len(WORKERS), env=env, wires=wires, runner=way.runner)
    ) as made:
        made.give(made.plan())
        made.start()
        wait_for(lambda: made.whole() and made.step > 10, START_SECONDS, made.tail)
        yield made


def steps(made: LocalGroup) -> list[float]:
    """How long each took, seconds."""
    first = len(made.workers[0].commits)
    time.sleep(STEP_SECONDS)
    at = [line["at"] for line in made.workers[0].commits[first:]]
    return [later - earlier for earlier, later in itertools.pairwise(at)]


def recoveries(made: LocalGroup) -> list[float]:
    """From the SIGKILL of a program, not the aggregator's, to the next step of the others."""
    return [recovery(made, 1 + number % (len(WORKERS) - 1)) for number in range(KILLS)]


def recovery(made: LocalGroup, victim: int) -> float:
    others = [worker for number, worker in enumerate(made.workers) if number != victim]
    began = time.monotonic()
    made.kill_trainer(victim)

    def next_step() -> float | None:
        moments = (
            line["at"]
            for worker in others
            for line in worker.commits[-50:]
            if line["at"] > began and line["count"] == len(others)
        )
        return min(moments, default=None)

    took = wait_for(next_step, START_SECONDS, made.tail, every=0.1) - began
    wait_for(made.whole, START_SECONDS, made.tail)
    return took


def in_groups(wires: Wires, directory: Path) -> tuple[Times, Times]:
    """Times of steps, and of recoveries."""
    stepping, recovering = defaultdict(list), defaultdict(list)
    for number in range(ROUNDS):
        for way in (PLAIN, *SECURE):
            print(f"  round {number + 1} of {ROUNDS}: a group, {way.name}", flush=True)
            with group(way, wires, directory / f"{number}-{way.name.replace(' ', '-')}") as made:
                stepping[way.name].append(steps(made))
                recovering[way.name].append(recoveries(made))
    return stepping, recovering


# --- a newcomer's state


@contextmanager
def talking(command: Sequence[str], env: Mapping[str, str]) -> Iterator[subprocess.Popen[str]]:
    """A program that says when it is ready."""
    pipe = subprocess.PIPE
    with subprocess.Popen(command, env={**os.environ, **env}, stdin=pipe, stdout=pipe, text=True) as program:
        assert program.stdout
        try:
            if program.stdout.readline() != "ready\n":
                raise RuntimeError(f"{' '.join(command)} did not start: see above")
            yield program
        finally:
            program.kill()


def mounted(directory: Path, worker: str) -> dict[str, str]:
    """What a pod of this worker is told, and mounts."""
    identity = write_identity(directory / worker, worker)
    return {
        Env.JOB_UID: JOB,
        Env.WORKER: worker,
        Env.POD_UID: f"pod-{worker}",
        Env.IDENTITY_DIR: str(identity),
        Env.CA_FILE: str(identity / "authorities.crt"),
    }


def transfers(wires: Wires, directory: Path) -> Times:
    """Seconds until a newcomer has the state, while nobody trains."""
    ways, took = (PLAIN, *SECURE, AES_ALL_THE_SAME), defaultdict(list)
    program, (donors, newcomers, *_) = str(ROOT / "benchmarks" / "programs" / "state_transfer.py"), WORKERS
    with ExitStack() as stack:
        asked = {}
        for port, way in enumerate(ways, STATE_PORT):
            give = wires.command(donors, *way.python(program, "give", str(port), str(MIB)))
            take = wires.command(newcomers, *way.python(program, "take", wires.address(donors), str(port)))
            for command, worker in ((give, DONOR), (take, "newcomer")):
                env = {**mounted(directory, worker), **way.env, "PYTHONPATH": str(ROOT)}
                asked[way.name] = stack.enter_context(talking(command, env))
        for way in ways:
            answer(asked[way.name])  # The first allocates what the next ones use again.
        for _ in range(ROUNDS):
            for way in ways:
                took[way.name].append([answer(asked[way.name]) for _ in range(TRANSFERS)])
    return took


def answer(program: subprocess.Popen[str]) -> float:
    assert program.stdin and program.stdout
    print(file=program.stdin, flush=True)
    return float(program.stdout.readline())


# --- what came of it


def compared(what: str, took: Times) -> Iterator[Row]:
    for name, rounds in took.items():
        yield median_row(f"{what}: {name}", [seconds for one in rounds for seconds in one], "s")
    for name in (name for name in took if name != PLAIN.name):
        yield against_plain(what, name, took, COST if name == WITH_AES.name and has_aes() else None)


def against_plain(what: str, name: str, took: Times, goal: Goal | None) -> Row:
    """All rounds together; the samples are those of each round."""
    each = [
        statistics.median(one) / statistics.median(plain)
        for one, plain in zip(took[name], took[PLAIN.name], strict=True)
    ]
    one, plain = (statistics.median([s for r in took[way] for s in r]) for way in (name, PLAIN.name))
    return Row(f"{what}: {name}, against nothing encrypted", one / plain, "x", goal, each)


def main() -> int:
    end_when_told()
    rows = list(speeds())
    with wired(*WORKERS) as wires, tempfile.TemporaryDirectory(prefix="secure-") as folder:
        for worker in WORKERS:
            wires.shape(worker, LINK)
        transferred = transfers(wires, Path(folder) / "transfers")
        stepping, recovering = in_groups(wires, Path(folder) / "groups")
    rows += [
        *compared("a step", stepping),
        *compared(f"a newcomer's {MIB} MiB", transferred),
        *compared("recovery", recovering),
    ]
    return 0 if publish("secure", rows) else 1


if __name__ == "__main__":
    sys.exit(main())
