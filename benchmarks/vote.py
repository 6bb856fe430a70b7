"""What the vote costs a step of five workers where a round trip takes 30 ms; DDP on the same lines by turns.

Once with little to send and 10 ms of computation, where it may take a round trip; once over links of 20
Mbit/s, where a reduction takes seconds, and the vote a small part of the step: with it each waits for the
last to have the sum. The vote's time is the workers' own: `edgetrain_phase_seconds_total` on their pages.
"""

import os
import statistics
import sys
import tempfile
from collections.abc import Iterator, Mapping, Sequence
from dataclasses import dataclass
from pathlib import Path

from prometheus_client.parser import text_string_to_metric_families

from benchmarks.harness import Goal, Row, end_when_told, median_row, publish
from benchmarks.stepped import MEDIUM, SMALL, Course, by_ddp, job, wait_timed
from edgetrain_protocol.series import PHASE_SECONDS, STEPS
from edgetrain_protocol.strategy import Reduction
from tests.support.wires import Wires, wired

ROUNDS = int(os.environ.get("ROUNDS", "3"))
ROUND_TRIP = 0.030
LINK_DELAY = "7.5ms"
"""A round trip passes four links."""
SLOW = "1 M parameters, 20 Mbit/s"
NAMES = tuple(f"w{number}" for number in range(5))


@dataclass(frozen=True)
class Case:
    name: str
    course: Course
    rate: str
    """Of each link."""


CASES = (
    Case(
        "10 k parameters, 10 ms of computation",
        Course(SMALL, len(NAMES), steps=200, pauses=(0.010,)),
        "1gbit",
    ),
    Case(SLOW, Course(MEDIUM, len(NAMES), steps=8, warm=3), "20mbit"),
)


@dataclass(frozen=True)
class Measured:
    """Seconds of a step; medians over the workers."""

    ddp: float
    ours: float
    vote: float


def vote_seconds(page: str) -> float:
    """Of a step, by a worker's page."""
    samples = [sample for family in text_string_to_metric_families(page) for sample in family.samples]
    (steps,) = (s.value for s in samples if s.name == f"{STEPS.name}_total")
    votes = (
        s.value for s in samples if s.name == f"{PHASE_SECONDS.name}_total" and s.labels["phase"] == "vote"
    )
    return sum(votes) / steps


def measure(case: Case, wires: Wires, directory: Path) -> Measured:
    ddp = by_ddp(case.course, directory, wires)
    with job(case.course, directory, Reduction.RING, wires=wires) as made:
        ours = wait_timed(made)
        votes = [vote_seconds(made.page(worker)) for worker in made.workers]
    return Measured(ddp.seconds, ours.seconds, statistics.median(votes))


def rows(case: Case, runs: Sequence[Measured]) -> Iterator[Row]:
    yield median_row(f"{case.name}: a step, DDP", [1000 * run.ddp for run in runs], "ms")
    yield median_row(f"{case.name}: a step", [1000 * run.ours for run in runs], "ms")
    trip, share = (None, Goal("<=", 0.03)) if case.name == SLOW else (Goal("<=", 1000 * ROUND_TRIP), None)
    yield median_row(f"{case.name}: of it the vote", [1000 * run.vote for run in runs], "ms", trip)
    yield median_row(f"{case.name}: the vote's share", [run.vote / run.ours for run in runs], "", share)


def main() -> int:
    end_when_told()
    runs: Mapping[Case, list[Measured]] = {case: [] for case in CASES}
    for number in range(ROUNDS):
        for case, each in runs.items():
            with wired(*NAMES) as wires, tempfile.TemporaryDirectory() as folder:
                for name in NAMES:
                    wires.shape(name, f"{case.rate}-{LINK_DELAY}")
                each.append(measure(case, wires, Path(folder)))
            print(f"  {case.name}, round {number + 1}: {each[-1]}", flush=True)
    found = [row for case, each in runs.items() for row in rows(case, each)]
    return 0 if publish("vote", found) else 1


if __name__ == "__main__":
    sys.exit(main())
