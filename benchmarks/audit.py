"""What the journals of all members show: no step lost or forked, no sample lost or seen twice.

Every member writes down each step that it commits: all its samples, and a digest of the parameters after
it. Two members that committed a step differently are a fork; a step that nobody committed between two
that were is lost; an epoch whose steps do not hold each sample once has lost or doubled some.
"""

from collections import Counter
from collections.abc import Sequence
from dataclasses import dataclass

from benchmarks.steps import Step, by_number


@dataclass(frozen=True)
class Audit:
    """What the journals show."""

    steps: int
    forked: int
    lost: int
    samples_lost: int
    samples_twice: int


def audit(steps: Sequence[Step], samples: int) -> Audit:
    """Judge all lines that all members wrote. The last epoch is still under way and not judged."""
    numbered = by_number(steps)
    forked = sum(map(is_forked, numbered.values()))
    lost = max(numbered) - min(numbered) + 1 - len(numbered)
    epochs: dict[int, Counter[int]] = {}
    for lines in numbered.values():
        epochs.setdefault(lines[0].epoch, Counter()).update(samples_of(lines))
    whole = [count for epoch, count in epochs.items() if epoch < max(epochs)]
    return Audit(
        steps=len(numbered),
        forked=forked,
        lost=lost,
        samples_lost=sum(samples - len(count) for count in whole),
        samples_twice=sum(sum(n - 1 for n in count.values()) for count in whole),
    )


def is_forked(lines: Sequence[Step]) -> bool:
    """Whether members differ over one step: in its samples, or in what the parameters were after it."""
    contents = {line.indices for line in lines if not line.replayed}
    digests = {line.digest for line in lines if line.digest}
    return len(contents) > 1 or len(digests) > 1


def samples_of(lines: Sequence[Step]) -> tuple[int, ...]:
    """The samples of one step, by the word of a member that took part in it."""
    return next((line.indices for line in lines if not line.replayed), ())
