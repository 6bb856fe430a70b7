"""How long a step takes, against torch's DDP with the same model and batches, by turns.

On loopback each worker has a core of its own where there are enough: its supervisor shares it.
"""

import json
import os
import signal
import statistics
import sys
import tempfile
from collections.abc import Callable, Iterator, Sequence
from contextlib import closing, contextmanager
from dataclasses import dataclass
from pathlib import Path
from typing import Any

from benchmarks.baselines.ddp import Meeting, run_ranks
from benchmarks.baselines.torchrun import free_port
from benchmarks.harness import Goal, Row, median_row, publish
from benchmarks.waiting import wait_for
from edgetrain_protocol.strategy import Reduction, Shares
from tests.support.group import ROOT, LocalGroup, Worker

ROUNDS = int(os.environ.get("ROUNDS", "5"))
CHOSEN = os.environ.get("SIZES", "")
WAIT_SECONDS = 240.0
SAMPLES = 16
"""Of each member in each step."""


@dataclass(frozen=True)
class Size:
    """A model, and how many steps of it are timed."""

    name: str
    width: int
    layers: int
    steps: int
    bound: float
    """What a step may take, against DDP's."""


SIZES = (
    Size("10 k parameters", 50, 4, 500, 1.5),
    Size("1 M parameters", 512, 4, 200, 1.1),
    Size("25 M parameters", 2048, 6, 20, 1.05),
)
MEMBERS = (2, 4)


@dataclass(frozen=True)
class Timed:
    """One run: medians over its workers."""

    seconds: float
    bytes: float


def pinned(index: int, members: int) -> list[str]:
    """By what a worker's processes keep to a core of their own."""
    cores = sorted(os.sched_getaffinity(0))
    return ["taskset", "-c", str(cores[index])] if members <= len(cores) else []


def program(way: str, log: Path, size: Size) -> list[str]:
    numbers = (size.width, size.layers, SAMPLES, size.steps)
    return [sys.executable, "-m", "benchmarks.programs.stepping", way, str(log), *map(str, numbers)]


ENVIRONMENT = {"PYTHONPATH": str(ROOT), "OMP_NUM_THREADS": "1"}


def by_ddp(size: Size, members: int, directory: Path) -> Timed:
    logs = [directory / f"{rank}.json" for rank in range(members)]
    commands = [[*pinned(rank, members), *program("ddp", log, size)] for rank, log in enumerate(logs)]
    run_ranks(commands, logs, ENVIRONMENT, Meeting("127.0.0.1", free_port(), "lo"), WAIT_SECONDS)
    return timed([json.loads(log.read_text()) for log in logs])


def in_a_job(reduction: Reduction) -> Callable[[Size, int, Path], Timed]:
    def measured(size: Size, members: int, directory: Path) -> Timed:
        with job(size, members, directory, reduction) as made:
            return wait_timed(made)

    return measured


def wait_timed(made: LocalGroup) -> Timed:
    """Once all its workers have timed their steps."""
    wait_for(lambda: all(w.lines("steps") for w in made.workers), WAIT_SECONDS, made.tail, every=0.5)
    return timed([worker.lines("steps")[-1] for worker in made.workers])


@contextmanager
def job(size: Size, members: int, directory: Path, reduction: Reduction) -> Iterator[LocalGroup]:
    def command(worker: Worker) -> list[str]:
        return program("job", worker.log, size)

    def pin(worker: Worker) -> list[str]:
        return pinned(int(worker.name.removeprefix("w")), members)

    env = {**ENVIRONMENT, "MEMBERS": str(members)}
    with closing(LocalGroup(directory, command, members, env=env, prefix=pin)) as made:
        made.give(made.plan(reduction=reduction, shares=Shares.EQUAL))
        made.start()
        yield made


def timed(lines: Sequence[dict[str, Any]]) -> Timed:
    return Timed(
        statistics.median(statistics.median(line["seconds"]) for line in lines),
        statistics.median(line["bytes"] for line in lines),
    )


WAYS: dict[str, Callable[[Size, int, Path], Timed]] = {
    "DDP": by_ddp,
    "ring": in_a_job(Reduction.RING),
    "star": in_a_job(Reduction.STAR),
}


def rows(size: Size, members: int, runs: dict[str, list[Timed]]) -> Iterator[Row]:
    what = f"{size.name}, {members} workers"
    times = {way: [run.seconds for run in each] for way, each in runs.items()}
    for way, each in times.items():
        yield median_row(f"{what}: {way}", [1000 * one for one in each], "ms")
    for way in (way for way in times if way != "DDP"):
        ratios = [one / ddp for one, ddp in zip(times[way], times["DDP"], strict=True)]
        goal = Goal("<=", size.bound) if way == "ring" else None
        yield median_row(f"{what}: {way} against DDP", ratios, "x", goal)


def main() -> int:
    signal.signal(signal.SIGTERM, lambda number, _: sys.exit(128 + number))
    found: list[Row] = []
    for size in (size for size in SIZES if size.name.startswith(CHOSEN)):
        for members in MEMBERS:
            runs: dict[str, list[Timed]] = {way: [] for way in WAYS}
            for number in range(ROUNDS):
                for way, measure in WAYS.items():
                    with tempfile.TemporaryDirectory(prefix="step-") as folder:
                        runs[way].append(measure(size, members, Path(folder)))
                    print(
                        f"  {size.name}, {members} workers, round {number + 1}: {way} {runs[way][-1]}",
                        flush=True,
                    )
            found += rows(size, members, runs)
    return 0 if publish("step", found) else 1


if __name__ == "__main__":
    sys.exit(main())
