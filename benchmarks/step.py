"""How long a step takes, against torch's DDP with the same model and batches, by turns.

On loopback each worker has a core of its own where there are enough: its supervisor shares it.
"""

import os
import signal
import sys
import tempfile
from collections.abc import Iterator
from dataclasses import dataclass
from pathlib import Path

from benchmarks.harness import Goal, Row, median_row, publish
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


def by_turns(size: Size, members: int) -> dict[str, list[Timed]]:
    runs: dict[str, list[Timed]] = {way: [] for way in WAYS}
    for number in range(ROUNDS):
        for way, measure in WAYS.items():
            with tempfile.TemporaryDirectory(prefix="step-") as folder:
                runs[way].append(measure(Course(size.model, members, size.steps), Path(folder)))
            what = f"{size.model.name}, {members} workers, round {number + 1}"
            print(f"  {what}: {way} {runs[way][-1]}", flush=True)
    return runs


def main() -> int:
    signal.signal(signal.SIGTERM, lambda number, _: sys.exit(128 + number))
    found: list[Row] = []
    for size in (size for size in SIZES if size.model.name.startswith(CHOSEN)):
        for members in MEMBERS:
            found += rows(size, members, by_turns(size, members))
    return 0 if publish("step", found) else 1


if __name__ == "__main__":
    sys.exit(main())
