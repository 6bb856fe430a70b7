"""One model stepped by torch's DDP or in a job, on loopback or over wires: how long a step takes."""

import json
import os
import statistics
import sys
from collections.abc import Iterator, Sequence
from contextlib import closing, contextmanager
from dataclasses import dataclass
from pathlib import Path
from typing import Any, Protocol

from benchmarks.baselines.ddp import Meeting, run_ranks
from benchmarks.waiting import wait_for
from edgetrain_protocol.strategy import Payload, Reduction, Shares
from tests.support.group import ROOT, LocalGroup, Worker
from tests.support.wires import Wires

ENVIRONMENT = {"PYTHONPATH": str(ROOT), "OMP_NUM_THREADS": "1"}
WAIT_SECONDS = 600.0
SAMPLES = 16
"""Of each member in each step."""


@dataclass(frozen=True)
class Model:
    """`layers` square layers of `width` units."""

    name: str
    width: int
    layers: int

    @property
    def parameters(self) -> int:
        return self.layers * self.width * (self.width + 1)


SMALL = Model("10 k parameters", 50, 4)
MEDIUM = Model("1 M parameters", 512, 4)
LARGE = Model("25 M parameters", 2048, 6)


@dataclass(frozen=True)
class Course:
    """What is stepped, by how many, how often."""

    model: Model
    members: int
    steps: int
    warm: int = 20
    """Steps before those that are timed."""
    pauses: tuple[float, ...] = (0.0,)
    """Seconds that each member computes longer in a step, a third of them forward: one after the other, in
    one run."""


@dataclass(frozen=True)
class Timed:
    """One run: medians over its workers."""

    each: tuple[float, ...]
    """Seconds of a step, by pause."""
    bytes: float

    @property
    def seconds(self) -> float:
        """Of a step, where there is one pause."""
        (only,) = self.each
        return only


def by_ddp(course: Course, directory: Path, wires: Wires | None = None) -> Timed:
    """On loopback, or each rank on a node of its own: w0, w1 and so on."""
    logs = [directory / f"{rank}.json" for rank in range(course.members)]
    places = [_place(rank, course.members, wires) for rank in range(course.members)]
    commands = [[*place, *_program("ddp", log, course)] for place, log in zip(places, logs, strict=True)]
    run_ranks(commands, logs, ENVIRONMENT, Meeting.by(wires), WAIT_SECONDS)
    return _timed([json.loads(log.read_text()) for log in logs])


class Way(Protocol):
    """By which a course is stepped."""

    def __call__(self, course: Course, directory: Path, wires: Wires | None = None) -> Timed: ...


def in_a_job(reduction: Reduction, payload: Payload = Payload.FP32) -> Way:
    def measured(course: Course, directory: Path, wires: Wires | None = None) -> Timed:
        with job(course, directory, reduction, payload, wires) as made:
            return wait_timed(made)

    return measured


@contextmanager
def job(
    course: Course,
    directory: Path,
    reduction: Reduction,
    payload: Payload = Payload.FP32,
    wires: Wires | None = None,
) -> Iterator[LocalGroup]:
    def command(worker: Worker) -> list[str]:
        return _program("job", worker.log, course)

    def pin(worker: Worker) -> list[str]:
        return _pinned(int(worker.name.removeprefix("w")), course.members)

    env = {**ENVIRONMENT, "MEMBERS": str(course.members)}
    group = LocalGroup(directory, command, course.members, env=env, prefix=pin, wires=wires)
    with closing(group) as made:
        made.give(made.plan(reduction=reduction, payload=payload, shares=Shares.EQUAL))
        made.start()
        yield made


def wait_timed(made: LocalGroup) -> Timed:
    """Once all its workers have timed their steps."""
    wait_for(lambda: all(w.lines("steps") for w in made.workers), WAIT_SECONDS, made.tail, every=0.5)
    return _timed([worker.lines("steps")[-1] for worker in made.workers])


def _program(way: str, log: Path, course: Course) -> list[str]:
    model = course.model
    numbers = (model.width, model.layers, SAMPLES, course.warm, course.steps, *course.pauses)
    return [sys.executable, "-m", "benchmarks.programs.stepping", way, str(log), *map(str, numbers)]


def _place(rank: int, members: int, wires: Wires | None) -> list[str]:
    return wires.command(f"w{rank}", *_pinned(rank, members)) if wires else _pinned(rank, members)


def _pinned(index: int, members: int) -> list[str]:
    """By what a worker's processes keep to a core of their own, where there are enough."""
    cores = sorted(os.sched_getaffinity(0))
    return ["taskset", "-c", str(cores[index])] if members <= len(cores) else []


def _timed(lines: Sequence[dict[str, Any]]) -> Timed:
    by_pause = zip(*(line["seconds"] for line in lines), strict=True)
    return Timed(
        tuple(statistics.median(map(statistics.median, of_one)) for of_one in by_pause),
        statistics.median(line["bytes"] for line in lines),
    )
