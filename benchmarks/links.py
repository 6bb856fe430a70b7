"""How long a step takes over shaped links with a delay, against torch's DDP on the same, by turns.

Workers in namespaces of their own; a packet takes 5 ms from one to another. Each computes so long in a step
that gradients as fp32, at the links' rate around the ring, take RATIO times as long.
"""

import os
import sys
from collections.abc import Iterator, Mapping, Sequence
from contextlib import contextmanager
from dataclasses import dataclass
from functools import partial

from benchmarks.harness import Goal, Row, by_turns, end_when_told, median_row, publish
from benchmarks.stepped import LARGE, MEDIUM, SMALL, Course, Model, Timed, Way, by_ddp, in_a_job
from edgetrain_protocol.strategy import Payload, Reduction
from tests.support.wires import Wires, wired

ROUNDS = int(os.environ.get("ROUNDS", "3"))
CHOSEN = os.environ.get("CASES", "")
LINK_DELAY = "2.5ms"
"""Two links lie between nodes."""


@dataclass(frozen=True)
class Case:
    model: Model
    members: int
    mbit: int
    ratios: tuple[float, ...] = (2, 1, 0.5)
    """Of communication to computation, one after the other in a run."""
    steps: int = 6

    @property
    def course(self) -> Course:
        carried = 2 * (self.members - 1) / self.members * 32 * self.model.parameters / (self.mbit * 1e6)
        pauses = tuple(carried / ratio for ratio in self.ratios)
        return Course(self.model, self.members, self.steps, warm=2, pauses=pauses)

    def __str__(self) -> str:
        return f"{self.model.name}, {self.members} workers, {self.mbit} Mbit/s"


CASES = (
    *(Case(model, members, mbit) for model in (SMALL, MEDIUM) for members in (2, 4) for mbit in (20, 100)),
    *(Case(LARGE, members, 100, (1,), steps=3) for members in (2, 4)),
)

DDP, EXACT = "DDP", "ours, fp32"
PACKED: Mapping[str, Way] = {
    "ours, int8": in_a_job(Reduction.STAR, Payload.INT8),
    "ours, lowRank": in_a_job(Reduction.RING, Payload.LOW_RANK),
}
WAYS: Mapping[str, Way] = {DDP: by_ddp, EXACT: in_a_job(Reduction.RING), **PACKED}


def rows(case: Case, runs: Mapping[str, Sequence[Timed]]) -> Iterator[Row]:
    for number, ratio in enumerate(case.ratios):
        seconds = {way: [run.each[number] for run in each] for way, each in runs.items()}
        yield from rows_of(f"{case}, ratio {ratio:g}", ratio, seconds)


def rows_of(what: str, ratio: float, seconds: Mapping[str, Sequence[float]]) -> Iterator[Row]:
    for way, each in seconds.items():
        yield median_row(f"{what}: {way}", [1000 * one for one in each], "ms")

    def faster(way: str) -> list[float]:
        return [ddp / one for ddp, one in zip(seconds[DDP], seconds[way], strict=True)]

    yield median_row(f"{what}: DDP takes as long as fp32", faster(EXACT), "times", Goal(">=", 1.0))
    goal = Goal(">=", 1.3) if ratio == 1 else None
    best = [max(both) for both in zip(*(faster(way) for way in PACKED), strict=True)]
    yield median_row(f"{what}: DDP takes as long as int8 or lowRank", best, "times", goal)


@contextmanager
def links(case: Case) -> Iterator[Wires]:
    names = [f"w{number}" for number in range(case.members)]
    with wired(*names) as wires:
        for name in names:
            wires.shape(name, f"{case.mbit}mbit-{LINK_DELAY}")
        yield wires


def timed(case: Case) -> dict[str, list[Timed]]:
    with links(case) as wires:
        ways = {way: partial(measure, case.course, wires=wires) for way, measure in WAYS.items()}
        return by_turns(str(case), ways, ROUNDS)


def main() -> int:
    end_when_told()
    chosen = [case for case in CASES if str(case).startswith(CHOSEN)]
    found = [row for case in chosen for row in rows(case, timed(case))]
    return 0 if publish("links", found) else 1


if __name__ == "__main__":
    sys.exit(main())
