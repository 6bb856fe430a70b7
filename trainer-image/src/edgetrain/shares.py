"""How a global batch is shared out. Pure: every member computes the same shares from the same votes.

A member's speed is samples over the seconds it was busy itself, waiting left out. Cutting by n/t at
the present share converges to equal times also where each step has a fixed cost beside the cost of
its samples: the fixed point of n' ~ n/t is t equal for all.
"""

from collections.abc import Iterable, Mapping
from dataclasses import dataclass

MOST_CHANGE = 1.25
"""A weight moves at most by this factor a step, so that one odd measurement cannot starve a member."""


SMALLEST = 2
"""No part is a single sample if that can be avoided: batch norm refuses to train on one."""


def apportion(total: int, weights: Mapping[str, float]) -> dict[str, int]:
    """Cut `total` samples by weight, largest remainder first.

    Everybody gets at least SMALLEST where `total` allows it; else the heaviest do and the others
    nothing. Ties go to the smaller name, so that all members cut alike. Weights are positive.
    """
    if len(weights) == 1:
        return dict.fromkeys(weights, total)
    by_weight = sorted(weights, key=lambda name: (-weights[name], name))
    counts = dict.fromkeys(sorted(weights), 0)
    open_names, left = by_weight[: max(1, total // SMALLEST)], total
    # The lightest first: who gets more than his weight leaves less for the others to share by theirs.
    while left * weights[open_names[-1]] < SMALLEST * _sum(weights, open_names) and len(open_names) > 1:
        counts[open_names.pop()] = SMALLEST
        left -= SMALLEST
    whole = _sum(weights, open_names)
    exact = {name: left * weights[name] / whole for name in open_names}
    counts |= {name: int(exact[name]) for name in open_names}
    by_remainder = sorted(open_names, key=lambda name: (counts[name] - exact[name], name))
    for name in by_remainder[: left - sum(counts[name] for name in open_names)]:
        counts[name] += 1
    return counts


def _sum(weights: Mapping[str, float], names: Iterable[str]) -> float:
    return sum(weights[name] for name in names)


def follow_speeds(weights: Mapping[str, float], speeds: Mapping[str, float]) -> dict[str, float]:
    """The next weights of the members in `speeds` (samples/s, 0 where not measured yet), summing to 1.

    Who is new or not measured gets the mean of the others. Nobody moves by more than MOST_CHANGE,
    apart from what it takes to sum to 1 again.
    """
    measured = [speed for speed in speeds.values() if speed > 0]
    mean = sum(measured) / len(measured) if measured else 1.0
    wanted = _to_one({name: speed if speed > 0 else mean for name, speed in speeds.items()})
    known = {name: weights[name] for name in speeds if name in weights}
    if not known:
        return wanted
    # Members came or went: what the present ones had is stretched to what they are to have together.
    stretch = sum(wanted[name] for name in known) / sum(known.values())
    return _to_one(
        {
            name: min(max(want, known[name] * stretch / MOST_CHANGE), known[name] * stretch * MOST_CHANGE)
            if name in known
            else want
            for name, want in wanted.items()
        }
    )


def equal(names: Mapping[str, float]) -> dict[str, float]:
    """The same weight for everybody."""
    return {name: 1.0 / len(names) for name in names}


def _to_one(weights: dict[str, float]) -> dict[str, float]:
    whole = sum(weights.values())
    return {name: weight / whole for name, weight in weights.items()}


@dataclass
class Speed:
    """Samples a second of busy time, smoothed as a ratio of decaying sums.

    A processor quota is enforced in periods of 100 ms, so single steps are far off: a mean of ratios
    would follow the outliers, a ratio of sums does not.
    """

    samples: float = 0.0
    seconds: float = 0.0
    decay: float = 0.93

    def add(self, samples: int, seconds: float) -> None:
        self.samples = self.samples * self.decay + samples
        self.seconds = self.seconds * self.decay + seconds

    @property
    def value(self) -> float:
        """0 before anything was measured."""
        return self.samples / self.seconds if self.seconds > 0 else 0.0
