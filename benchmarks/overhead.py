"""What a session costs a program that runs alone, against the plain loop, by turns; without a cluster."""

import json
import os
import subprocess
import sys
from collections.abc import Iterator
from dataclasses import dataclass
from functools import partial
from pathlib import Path

from benchmarks.harness import Goal, Row, by_turns, end_when_told, median_row, publish
from tests.support.group import ROOT

ROUNDS = int(os.environ.get("ROUNDS", "5"))


@dataclass(frozen=True)
class Case:
    name: str
    width: int
    steps: int
    workers: int
    bound: float
    """What a step may take, against the plain loop's."""


CASES = (
    Case("4 k parameters", 32, 1000, 0, 1.03),
    Case("260 k parameters", 256, 500, 0, 1.03),
    Case("25 M parameters", 2500, 15, 0, 1.03),
    Case("260 k parameters, a loader with two processes", 256, 500, 2, 1.05),
)


@dataclass(frozen=True)
class Timed:
    seconds: float
    processor: float


def measured(case: Case, way: str, folder: Path) -> Timed:
    numbers = map(str, (case.width, case.steps, case.workers))
    command = [sys.executable, "-m", "benchmarks.programs.looping", way, *numbers]
    paths = os.pathsep.join(filter(None, (str(ROOT), os.environ.get("PYTHONPATH"))))
    environment = {**os.environ, "PYTHONPATH": paths, "OMP_NUM_THREADS": "1"}
    ran = subprocess.run(command, check=True, stdout=subprocess.PIPE, cwd=folder, env=environment)
    return Timed(**json.loads(ran.stdout))


def rows(case: Case) -> Iterator[Row]:
    ways = {way: partial(measured, case, way) for way in ("plain", "session")}
    found = by_turns(case.name, ways, ROUNDS)
    for what in ("processor", "seconds"):
        plain, session = ([getattr(one, what) for one in found[way]] for way in ways)
        name = f"{case.name}: {'processor time' if what == 'processor' else 'time'} of a step"
        yield median_row(f"{name}, plain", [1000 * one for one in plain], "ms")
        ratios = [ours / theirs for ours, theirs in zip(session, plain, strict=True)]
        yield median_row(f"{name}, session against plain", ratios, "x", Goal("<=", case.bound))


def main() -> int:
    end_when_told()
    return 0 if publish("overhead", [row for case in CASES for row in rows(case)]) else 1


if __name__ == "__main__":
    sys.exit(main())
