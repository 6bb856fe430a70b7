"""What a worker holds in memory against a process of DDP: program and supervisor, 25 M parameters, Adam."""

import os
import signal
import statistics
import sys
import tempfile
from pathlib import Path

from benchmarks.harness import Goal, Row, median_row, publish
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


def main() -> int:
    signal.signal(signal.SIGTERM, lambda number, _: sys.exit(128 + number))
    found: dict[str, list[float]] = {"DDP": [], "ring": [], "star": []}
    for number in range(ROUNDS):
        for way, each in found.items():
            with tempfile.TemporaryDirectory(prefix="memory-") as folder:
                place = Path(folder)
                each.append(of_ddp(place) if way == "DDP" else of_a_worker(place, Reduction(way)))
            print(f"  round {number + 1}: {way} {each[-1]:.0f} MB", flush=True)
    rows: list[Row] = [median_row(f"{LARGE.name}: {way}", each, "MB") for way, each in found.items()]
    for way in ("ring", "star"):
        ratios = [one / ddp for one, ddp in zip(found[way], found["DDP"], strict=True)]
        rows.append(median_row(f"a worker, {way}, against DDP", ratios, "x", Goal("<=", 1.25)))
    return 0 if publish("memory", rows) else 1


if __name__ == "__main__":
    sys.exit(main())
