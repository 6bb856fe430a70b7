"""How long a step takes, against torch's DDP with the same model and batches, by turns.

On loopback each worker has a core of its own where there are enough: its supervisor shares it.
"""

import os
import sys
from collections.abc import Iterator
from dataclasses import dataclass
from functools import partial

from benchmarks.harness import Goal, Row, by_turns, end_when_told, median_row, publish
from benchmarks.stepped import LARGE, MEDIUM, SMALL, Course, Model, Timed, Way, by_ddp, in_a_job
from edgetrain_protocol.strategy import Reduction

ROUNDS = int(os.environ.get("ROUNDS", "5"))
CHOSEN = os.environ.get("SIZES", "")
MEMBERS = (2, 4)


@dataclass(frozen=True)
class Size:
    model: Model
    steps: int
    bound: float
    """What a step may take, against DDP's."""


SIZES = (Size(SMALL, 500, 1.5), Size(MEDIUM, 200, 1.1), Size(LARGE, 20, 1.05))

WAYS: dict[str, Way] = {
    "DDP": by_ddp,
    "ring": in_a_job(Reduction.RING),
    "star": in_a_job(Reduction.STAR),
}


def rows(size: Size, members: int, runs: dict[str, list[Timed]]) -> Iterator[Row]:
    what = f"{size.model.name}, {members} workers"
    times = {way: [run.seconds for run in each] for way, each in runs.items()}
    for way, each in times.items():
        yield median_row(f"{what}: {way}", [1000 * one for one in each], "ms")
    for way in (way for way in times if way != "DDP"):
        ratios = [one / ddp for one, ddp in zip(times[way], times["DDP"], strict=True)]
        goal = Goal("<=", size.bound) if way == "ring" else None
        yield median_row(f"{what}: {way} against DDP", ratios, "x", goal)


def timed(size: Size, members: int) -> dict[str, list[Timed]]:
    course = Course(size.model, members, size.steps)
    ways = {way: partial(measure, course) for way, measure in WAYS.items()}
    return by_turns(f"{size.model.name}, {members} workers", ways, ROUNDS)


def main() -> int:
    end_when_told()
    found: list[Row] = []
    for size in (size for size in SIZES if size.model.name.startswith(CHOSEN)):
        for members in MEMBERS:
            found += rows(size, members, timed(size, members))
    return 0 if publish("step", found) else 1


if __name__ == "__main__":
    sys.exit(main())
