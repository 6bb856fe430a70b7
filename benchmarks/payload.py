"""Time and bytes to the same loss over uneven links, by payload; torch's DDP with its PowerSGD hook by turns.

Workers in namespaces of their own, on links of 100, 50, 20, 20 and 10 Mbit/s. Each computes half as long in a
step as its gradients take as fp32 through the best connected one: communication is twice computation.
"""

import json
import os
import sys
from collections.abc import Callable, Iterator
from contextlib import closing
from dataclasses import dataclass
from functools import partial
from pathlib import Path

from benchmarks.baselines.ddp import Meeting, run_ranks, written
from benchmarks.harness import Goal, Row, by_turns, end_when_told, median_row, publish
from benchmarks.stepped import ENVIRONMENT
from benchmarks.waiting import wait_for
from edgetrain_protocol.strategy import Payload, Reduction, Shares
from tests.support.group import LocalGroup, Worker
from tests.support.wires import Wires, wired

ROUNDS = int(os.environ.get("ROUNDS", "5"))
CHOSEN = os.environ.get("TASKS", "")
WAIT_SECONDS = 600.0
LINKS = {"w0": 100, "w1": 50, "w2": 20, "w3": 20, "w4": 10}
"""Mbit/s; w0 aggregates."""


@dataclass(frozen=True)
class Task:
    """What is trained, to which loss."""

    name: str
    parameters: int
    loss: float

    @property
    def pause(self) -> float:
        """Seconds a step."""
        bits = 32 * self.parameters
        others = [rate for name, rate in LINKS.items() if name != "w0"]
        return max(bits / min(others), len(others) * bits / LINKS["w0"]) / 1e6 / 2


TASKS = (Task("digits", 85_002, 0.3), Task("transformer", 118_528, 2.4))


@dataclass(frozen=True)
class Reached:
    """One run: of the slowest member, and of all together."""

    seconds: float
    bytes: float
    steps: float


def program(way: str, log: Path, task: Task) -> list[str]:
    numbers = (task.name, str(task.loss), f"{task.pause:.4f}")
    return [sys.executable, "-m", "benchmarks.programs.packed", way, str(log), *numbers]


def reached(logs: list[Path]) -> Reached:
    lines = [json.loads(log.read_text().splitlines()[-1]) for log in logs]
    return Reached(
        max(line["seconds"] for line in lines),
        sum(line["bytes"] for line in lines),
        max(line["steps"] for line in lines),
    )


def by_ddp(task: Task, wires: Wires, directory: Path) -> Reached:
    logs = [directory / f"{name}.json" for name in LINKS]
    commands = [
        wires.command(name, *program("ddp", log, task)) for name, log in zip(LINKS, logs, strict=True)
    ]
    run_ranks(commands, logs, ENVIRONMENT, Meeting.by(wires), WAIT_SECONDS)
    return reached(logs)


def in_a_job(payload: Payload) -> Callable[[Task, Wires, Path], Reached]:
    def measured(task: Task, wires: Wires, directory: Path) -> Reached:
        def command(worker: Worker) -> list[str]:
            return program("job", worker.log, task)

        with closing(LocalGroup(directory, command, len(LINKS), env=dict(ENVIRONMENT), wires=wires)) as made:
            made.give(made.plan(reduction=Reduction.STAR, payload=payload, shares=Shares.EQUAL))
            made.start()
            logs = [worker.log for worker in made.workers]
            wait_for(lambda: all(map(written, logs)), WAIT_SECONDS, made.tail, every=0.5)
            return reached(logs)

    return measured


WAYS: dict[str, Callable[[Task, Wires, Path], Reached]] = {
    "DDP with PowerSGD": by_ddp,
    **{f"ours, {payload}": in_a_job(payload) for payload in Payload if payload is not Payload.AUTO},
}


def rows(task: Task, runs: dict[str, list[Reached]]) -> Iterator[Row]:
    what = f"{task.name} to a loss of {task.loss:g}"
    for way, each in runs.items():
        yield median_row(f"{what}: {way}", [one.seconds for one in each], "s")
        yield median_row(f"{what}: {way}, sent", [one.bytes / 1e6 for one in each], "MB")
        yield median_row(f"{what}: {way}, steps", [one.steps for one in each], "steps")

    def against(way: str, base: str) -> list[float]:
        return [one.seconds / other.seconds for one, other in zip(runs[way], runs[base], strict=True)]

    low_rank = f"ours, {Payload.LOW_RANK}"
    yield median_row(
        f"{what}: {low_rank}, against DDP's", against(low_rank, "DDP with PowerSGD"), "x", Goal("<=", 1.0)
    )
    for payload in (Payload.INT8, Payload.LOW_RANK):
        ratios = against(f"ours, {Payload.FP32}", f"ours, {payload}")
        yield median_row(f"{what}: fp32 takes as long as {payload}", ratios, "times", Goal(">=", 2.0))


def main() -> int:
    end_when_told()
    found: list[Row] = []
    with wired(*LINKS) as wires:
        for name, rate in LINKS.items():
            wires.shape(name, f"{rate}mbit")
        for task in (task for task in TASKS if task.name.startswith(CHOSEN)):
            ways = {way: partial(measure, task, wires) for way, measure in WAYS.items()}
            found += rows(task, by_turns(task.name, ways, ROUNDS))
    return 0 if publish("payload", found) else 1


if __name__ == "__main__":
    sys.exit(main())
