"""A group run by hand: real supervisors on loopback, or each on a node; a plan file for an operator."""

import json
import os
import signal
import subprocess
import sys
import time
from collections.abc import Callable, Iterator, Mapping
from contextlib import contextmanager
from dataclasses import dataclass, field
from pathlib import Path
from types import MappingProxyType
from typing import Any

from benchmarks.waiting import wait_for
from edgetrain_local.ports import free_ports
from edgetrain_operator.fleet.keyring import Keyring
from edgetrain_protocol.names import CONTROL_PORT, ROUNDS_PORT, STATE_PORT, TRAINER_METRICS_PORT
from edgetrain_protocol.plan import Group, Holder, Member, Phase, Plan, Rounds, RoundSettings
from edgetrain_protocol.strategy import Payload, Reduction
from tests.support.identities import JOB, sign, write_identity
from tests.support.wires import Wires

ROOT = Path(__file__).parents[2]
USUAL_SETTINGS = RoundSettings()
TRAINING_PROGRAM = ROOT / "tests" / "train" / "training_program.py"


@dataclass
class Worker:
    name: str
    address: str
    control_port: int
    state_port: int
    metrics_port: int
    rounds_port: int
    directory: Path
    process: subprocess.Popen[bytes] | None = None
    pods: int = 1
    """That it has had, the present one included."""

    @property
    def pod_uid(self) -> str:
        return f"pod-{self.name}{self._of_the_pod}"

    @property
    def state(self) -> Path:
        """Its pod's own disk."""
        return self.directory / f"state{self._of_the_pod}"

    @property
    def identity(self) -> Path:
        return self.directory / f"identity{self._of_the_pod}"

    @property
    def _of_the_pod(self) -> str:
        return f"-{self.pods}" if self.pods > 1 else ""

    @property
    def log(self) -> Path:
        return self.directory / "commits.jsonl"

    def lines(self, event: str) -> list[dict[str, Any]]:
        """What its trainers have written."""
        if not self.log.exists():
            return []
        found = [json.loads(line) for line in self.log.read_text().splitlines() if line.endswith("}")]
        return [line for line in found if line["event"] == event]

    @property
    def commits(self) -> list[dict[str, Any]]:
        return self.lines("commit")

    @property
    def step(self) -> int:
        return self.commits[-1]["step"] if self.commits else 0

    @property
    def trainer_pid(self) -> int:
        pid: int = self.lines("start")[-1]["pid"]
        return pid

    @property
    def ended(self) -> bool:
        return self.process is not None and self.process.poll() is not None

    @property
    def errors(self) -> str:
        return (self.directory / "stderr").read_text()


@dataclass
class LocalGroup:
    directory: Path
    command: Callable[[Worker], list[str]]
    size: int = 4
    env: dict[str, str] = field(default_factory=dict)
    wires: Wires | None = None
    """With nodes of the workers' names: each worker runs on its own."""
    runner: tuple[str, ...] = ()
    """A module that runs the supervisor's, with its arguments before that."""
    prefix: Callable[[Worker], list[str]] = lambda worker: []
    """By what a worker's command is run, such as taskset."""
    workers: list[Worker] = field(default_factory=list)

    def __post_init__(self) -> None:
        ports = free_ports(4 * self.size)
        for i in range(self.size):
            name = f"w{i}"
            directory = self.directory / name
            directory.mkdir(parents=True)
            address, (control, state, metrics, rounds) = f"127.0.1.{i + 1}", ports[4 * i : 4 * i + 4]
            if self.wires:
                address = self.wires.address(name)
                control, state, metrics = CONTROL_PORT, STATE_PORT, TRAINER_METRICS_PORT
                rounds = ROUNDS_PORT
            self.workers.append(Worker(name, address, control, state, metrics, rounds, directory))

    # --- plans

    def plan(self, revision: int = 1, members: list[int] | None = None, **changes: Any) -> Plan:
        chosen = [self.workers[i] for i in (members if members is not None else range(self.size))]
        line = tuple(changes.pop("succession", [w.name for w in chosen]))
        reduction = changes.pop("reduction", Reduction.RING)
        payload = changes.pop("payload", Payload.FP32)
        planned = tuple(
            Member(
                worker=w.name,
                node=w.name,
                pod_uid=w.pod_uid,
                address=w.address,
                control_port=w.control_port,
                state_port=w.state_port,
                probe_port=1,
            )
            for w in chosen
        )
        group = Group(name="all", members=planned, succession=line, reduction=reduction, payload=payload)
        founders = tuple(f"{w.name}/{w.pod_uid}" for w in (chosen if "rounds" in changes else self.workers))
        fields = {"job_uid": JOB, "lineage": 1, "phase": Phase.TRAIN, "founders": founders, **changes}
        return Plan(revision=revision, groups=(group,), **fields)

    def give(self, plan: Plan, workers: list[int] | None = None, by: Keyring | None = None) -> None:
        for i in workers if workers is not None else range(self.size):
            new = self.workers[i].directory / "plan.new"
            new.write_text(sign(plan, by).model_dump_json())
            new.replace(self.workers[i].directory / "plan.json")

    def rounds(self, holders: list[int], groups: dict[str, list[int]] | None = None, **more: Any) -> Rounds:
        """These workers hold the log of these groups; each worker is one by itself where none are given."""
        line = [self.workers[i] for i in holders]
        places = (
            Holder(name=w.name, worker=w.name, pod_uid=w.pod_uid, address=w.address, port=w.rounds_port)
            for w in line
        )
        names = groups or {w.name: [i] for i, w in enumerate(self.workers)}
        speak = {name: tuple(self.workers[i].name for i in of) for name, of in names.items()}
        named = {"holders": tuple(places), "founder": line[0].name, "groups": speak}
        return Rounds.model_validate({"local_steps": 4, **named, **more})

    def give_rounds(self, rounds: Rounds, revision: int = 1, **changes: Any) -> None:
        for name, workers in rounds.groups.items():
            of = [i for i, worker in enumerate(self.workers) if worker.name in workers]
            self.give(self.plan(revision, of, group=name, rounds=rounds, **changes), of)

    # --- processes

    def start(self, *indexes: int) -> None:
        for i in indexes or range(self.size):
            self.start_one(self.workers[i])

    def start_one(self, worker: Worker, **env: str) -> None:
        if not worker.identity.exists():
            write_identity(worker.identity, worker.name, worker.pod_uid)
        environment = {
            **os.environ,
            "EDGETRAIN_WORKER": worker.name,
            "EDGETRAIN_NODE": worker.name,
            "EDGETRAIN_POD": worker.name,
            "EDGETRAIN_POD_UID": worker.pod_uid,
            "EDGETRAIN_POD_IP": worker.address,
            "EDGETRAIN_CONTROL_PORT": str(worker.control_port),
            "EDGETRAIN_STATE_PORT": str(worker.state_port),
            "EDGETRAIN_ROUNDS_PORT": str(worker.rounds_port),
            "EDGETRAIN_TRAINER_METRICS_PORT": str(worker.metrics_port),
            "EDGETRAIN_JOB_UID": JOB,
            "EDGETRAIN_IDENTITY_DIR": str(worker.identity),
            "EDGETRAIN_CA_FILE": str(worker.identity / "authorities.crt"),
            "EDGETRAIN_STATE_DIR": str(worker.state),
            "EDGETRAIN_RUN_DIR": str(worker.directory / "run"),
            "EDGETRAIN_CHECKPOINT_DIR": str(worker.directory / "checkpoint"),
            "EDGETRAIN_MODEL_DIR": str(worker.directory / "model"),
            "EDGETRAIN_PROGRAM_DIR": str(worker.directory / "program"),
            "EDGETRAIN_PLAN_FILE": str(worker.directory / "plan.json"),
            "EDGETRAIN_TERMINATION_LOG": str(worker.directory / "termination-log"),
            **self.env,
            **env,
        }
        for name in ("run", "checkpoint", "model"):
            (worker.directory / name).mkdir(exist_ok=True)
        (worker.directory / "termination-log").touch()
        python = [*self.prefix(worker), sys.executable, "-m", *self.runner]
        command = [*python, "edgetrain.supervisor", "--", *self.command(worker)]
        if self.wires:
            command = self.wires.command(worker.name, *command)
        with (worker.directory / "stderr").open("ab") as stderr:
            worker.process = subprocess.Popen(command, env=environment, stderr=stderr, stdout=stderr)

    def page(self, worker: Worker) -> str:
        """The worker's own page of metrics, which it serves on its loopback alone."""
        look = "import sys, urllib.request as r; print(r.urlopen(sys.argv[1], timeout=5).read().decode())"
        command = [sys.executable, "-c", look, f"http://127.0.0.1:{worker.metrics_port}/metrics"]
        inside = self.wires.command(worker.name, *command) if self.wires else command
        return subprocess.run(inside, capture_output=True, check=True, text=True).stdout

    def kill_trainer(self, index: int, number: signal.Signals = signal.SIGKILL) -> None:
        os.kill(self.workers[index].trainer_pid, number)

    def kill_supervisor(self, index: int) -> None:
        """Its trainer ends with it; returns once it is gone itself."""
        process = self.workers[index].process
        assert process is not None
        process.kill()
        process.wait()

    def replace_pods(self, *indexes: int) -> None:
        """Those that there are end at once. The next ones, yet to be started, find their volumes alone."""
        for i in indexes or range(self.size):
            self.kill_supervisor(i)
            self.workers[i].pods += 1

    def signal_pod(self, index: int, number: signal.Signals) -> None:
        """The supervisor and its trainer, as a stopped machine would."""
        worker = self.workers[index]
        assert worker.process is not None
        os.kill(worker.process.pid, number)
        os.kill(worker.trainer_pid, number)

    def hurry(self) -> None:
        """The training programs pause no longer: on to the end."""
        for worker in self.workers:
            worker.log.with_suffix(".hurry").touch()

    def close(self) -> None:
        for worker in self.workers:
            if worker.process and worker.process.poll() is None:
                for pid in {worker.process.pid, *(line["pid"] for line in worker.lines("start")[-1:])}:
                    try:
                        os.kill(pid, signal.SIGCONT)
                        os.kill(pid, signal.SIGKILL)
                    except ProcessLookupError:
                        continue
                worker.process.wait()

    # --- what has come of it

    @property
    def step(self) -> int:
        return max(worker.step for worker in self.workers)

    @property
    def finished(self) -> list[Worker]:
        return [worker for worker in self.workers if worker.lines("finished")]

    def await_finishing(self, worker: Worker, seconds: float) -> None:
        """Until it waits for the profiler, or has ended without."""
        finishing = worker.directory / "run" / "finishing"
        wait_for(lambda: finishing.exists() or worker.ended, seconds, self.tail)

    def whole(self, *indexes: int) -> bool:
        """These, and nobody else, have committed their last step together."""
        wanted = sorted(self.workers[i].name for i in indexes or range(self.size))
        last = [w.commits[-1] for w in self.workers if w.name in wanted and w.commits]
        return len(last) == len(wanted) and all(line["count"] == len(wanted) for line in last)

    def next_commit(self, seconds: float, but: tuple[int, ...] = ()) -> float:
        """Until somebody (but these) commits a step that nobody has begun yet; how many seconds it took."""
        begun, step = time.monotonic(), self.step
        others = [w for i, w in enumerate(self.workers) if i not in but]
        wait_for(lambda: max(w.step for w in others) > step + 1, seconds, f"{step} is the last step")
        return time.monotonic() - begun

    def check_history(self) -> dict[int, dict[str, Any]]:
        """Each step was committed with one content, by whoever committed it; returns them by step."""
        history: dict[int, dict[str, Any]] = {}
        for worker in self.workers:
            for line in worker.commits:
                known = history.setdefault(line["step"], line)
                assert known["content"] == line["content"], f"step {line['step']} is forked"
        assert sorted(history) == list(range(min(history), max(history) + 1)), "a step is missing"
        return history

    def tail(self) -> str:
        started = [w for w in self.workers if (w.directory / "stderr").exists()]
        return "\n".join(f"{w.name}:\n{w.errors[-1500:]}" for w in started)


def training_command(epochs: int, pause: float = 0.02) -> Callable[[Worker], list[str]]:
    """Of the small training program."""
    return lambda worker: [sys.executable, str(TRAINING_PROGRAM), str(worker.log), str(epochs), str(pause)]


@contextmanager
def training_group(
    directory: Path,
    size: int,
    *,
    epochs: int = 100_000,
    start_seconds: float,
    wires: Wires | None = None,
    **plan: Any,
) -> Iterator[LocalGroup]:
    """Workers that run the small training program, from when all of them train; w0 aggregates.

    Args:
        start_seconds: for importing torch so many times on busy cores.
        plan: see `LocalGroup.plan`.
    """

    group = LocalGroup(directory, training_command(epochs), size, env={"PYTHONPATH": str(ROOT)}, wires=wires)
    try:
        group.give(group.plan(**plan))
        group.start()
        wait_for(lambda: group.whole() and group.step > 3, start_seconds, group.tail)
        yield group
    finally:
        group.close()


@contextmanager
def in_rounds(
    directory: Path,
    command: Callable[[Worker], list[str]],
    size: int,
    holders: list[int],
    groups: dict[str, list[int]] | None = None,
    settings: RoundSettings = USUAL_SETTINGS,
    env: Mapping[str, str] = MappingProxyType({}),
) -> Iterator[LocalGroup]:
    """Groups that train one model in rounds, each worker by itself where none are given: once all train."""
    group = LocalGroup(directory, command, size, env={"PYTHONPATH": str(ROOT), **env})
    try:
        group.give_rounds(group.rounds(holders, groups, settings=settings))
        group.start()
        wait_for(lambda: all(worker.step for worker in group.workers), 60.0, group.tail)
        yield group
    finally:
        group.close()
