"""What a group could have trained: the seconds that its workers lived, at the rate without faults.

A worker lives from its program's first line, torch imported, until a fault strikes it: while it is stopped,
cut off or without power it does not, nor while its program is started again. So what counts against a group
is what the others lose by a fault, and what it takes to come back in: not the fault itself.
"""

import itertools
from collections.abc import Iterable, Iterator, Sequence
from dataclasses import dataclass
from math import inf

from benchmarks.steps import Begin

Span = tuple[float, float]


@dataclass(frozen=True)
class Absence:
    """A worker that does not live: Unix times, seconds. `until` the fault ended; `kills`: and the program
    has begun again."""

    worker: str
    since: float
    until: float
    kills: bool


@dataclass(frozen=True)
class Committed:
    """A step of the group, once: when, and how many samples."""

    at: float
    samples: int


def living_seconds(
    workers: Sequence[str], begun: Sequence[Begin], absences: Sequence[Absence], within: Span
) -> float:
    """Over all workers, in a span of time."""
    begin, end = within
    away = sum(_length(_clipped(_spans(worker, begun, absences), within)) for worker in workers)
    return len(workers) * (end - begin) - away


def goodput(
    steps: Sequence[Committed],
    workers: Sequence[str],
    begun: Sequence[Begin],
    absences: Sequence[Absence],
    fault_free: Span,
    faulty: Span,
) -> float:
    """Samples committed in one span, against those of the workers who lived at the other span's rate."""
    rate = _samples(steps, fault_free) / living_seconds(workers, begun, absences, fault_free)
    return _samples(steps, faulty) / (rate * living_seconds(workers, begun, absences, faulty))


def longest_wait(steps: Sequence[Committed], within: Span) -> float:
    """Seconds in which nobody trained: the longest without a step."""
    begin, end = within
    moments = sorted(step.at for step in steps if begin <= step.at <= end)
    return max(later - earlier for earlier, later in itertools.pairwise([begin, *moments, end]))


def _samples(steps: Sequence[Committed], within: Span) -> int:
    return sum(step.samples for step in steps if within[0] <= step.at < within[1])


def _spans(worker: str, begun: Sequence[Begin], absences: Sequence[Absence]) -> Iterator[Span]:
    for absence in absences:
        if absence.worker != worker:
            continue
        again = (one.at for one in begun if one.node == worker and one.at > absence.since)
        yield absence.since, max(absence.until, min(again, default=inf)) if absence.kills else absence.until


def _clipped(spans: Iterable[Span], within: Span) -> list[Span]:
    cut = [(max(begin, within[0]), min(end, within[1])) for begin, end in spans]
    return sorted(span for span in cut if span[0] < span[1])


def _length(spans: Sequence[Span]) -> float:
    """Of their union; they are sorted."""
    total, reached = 0.0, -inf
    for begin, end in spans:
        total += max(0.0, end - max(begin, reached))
        reached = max(reached, end)
    return total
