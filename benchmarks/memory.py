"""What a worker holds in memory against a process of DDP: program and supervisor, 25 M parameters, Adam."""

import os
import statistics
import sys
from collections.abc import Callable
from functools import partial
from pathlib import Path

from benchmarks.harness import Goal, Row, by_turns, end_when_told, median_row, publish
from benchmarks.resident import resident
from benchmarks.stepped import LARGE, Course, by_ddp, job, wait_timed
from edgetrain_protocol.strategy import Reduction

ROUNDS = int(os.environ.get("ROUNDS", "3"))
COURSE = Course(LARGE, members=2, steps=20)


def of_ddp(directory: Path) -> float:
    """MB, at the end of a run."""
    return by_ddp(COURSE, directory).bytes / 1e6


def of_a_worker(directory: Path, reduction: Reduction) -> float:
    """MB of program and supervisor, at the end of a run; the median of the workers."""
    with job(COURSE, directory, reduction) as made:
        programs = wait_timed(made).bytes / 1e6
        supervisors = [resident([w.process.pid]) for w in made.workers if w.process]
        return programs + statistics.median(supervisors)


WAYS: dict[str, Callable[[Path], float]] = {
    "DDP": of_ddp,
    **{way: partial(of_a_worker, reduction=Reduction(way)) for way in ("ring", "star")},
}


def main() -> int:
    end_when_told()
    found = by_turns(f"{LARGE.name}, MB", WAYS, ROUNDS)
    rows: list[Row] = [median_row(f"{LARGE.name}: {way}", each, "MB") for way, each in found.items()]
    for way in ("ring", "star"):
        ratios = [one / ddp for one, ddp in zip(found[way], found["DDP"], strict=True)]
        rows.append(median_row(f"a worker, {way}, against DDP", ratios, "x", Goal("<=", 1.25)))
    return 0 if publish("memory", rows) else 1


if __name__ == "__main__":
    sys.exit(main())
