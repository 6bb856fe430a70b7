"""How much each group's work counts: by definition, and on a problem whose optimum is known."""

from collections.abc import Sequence

import numpy as np
import pytest

from edgetrain.aggregator.weights import WEIGHINGS, work_of
from edgetrain.payload.codec import Floats
from edgetrain.rounds.entries import Contribution, UpdateKey
from edgetrain_protocol.history import History
from edgetrain_protocol.strategy import MergeWeights

EQUAL, SAMPLES, FED_NOVA = MergeWeights.EQUAL, MergeWeights.SAMPLES, MergeWeights.FED_NOVA


def update(steps: int, samples: int) -> Contribution:
    return Contribution(UpdateKey(History(1, "g", 1), 1), "", 0, (), steps, 0, samples)


@pytest.mark.parametrize(
    ("weights", "of", "expected"),
    [
        (EQUAL, [(4, 10), (1, 30)], [0.5, 0.5]),
        (SAMPLES, [(4, 10), (1, 30)], [0.25, 0.75]),
        (SAMPLES, [(4, 10), (1, 0)], [0.5, 0.5]),  # One does not say.
        (FED_NOVA, [(4, 20), (4, 60)], [0.25, 0.75]),  # As by samples where all take as many steps.
        (FED_NOVA, [(4, 10), (1, 10)], [0.5 * 2.5 / 4, 0.5 * 2.5]),
        (FED_NOVA, [(0, 10), (1, 10)], [0.5, 0.5]),  # Of skipped steps alone.
    ],
)
def test_each_counts_as_its_way_says(
    weights: MergeWeights, of: list[tuple[int, int]], expected: list[float]
) -> None:
    updates = [update(*each) for each in of]
    assert WEIGHINGS[weights](updates, 2) == pytest.approx(expected)
    half = WEIGHINGS[weights](updates, 4)
    assert half == pytest.approx([part / 2 for part in expected]), "two of four are half of all"


def optimum(weights: MergeWeights, steps: Sequence[int]) -> float:
    """Where two groups come to that minimise (w - 0)^2 on 100 samples and (w - 1)^2 on 300, in so many steps
    a round each. The optimum of both is at 0.75."""
    w, rate, centres, samples = 0.0, 0.01, (0.0, 1.0), (100, 300)
    for _ in range(3000):
        moved = []
        for centre, count in zip(centres, steps, strict=True):
            own = w
            for _ in range(count):
                own -= rate * 2 * (own - centre)
            moved.append(own - w)
        coefficients = WEIGHINGS[weights]([update(*each) for each in zip(steps, samples, strict=True)], 2)
        w += sum(c * m for c, m in zip(coefficients, moved, strict=True))
    return w


def test_normalised_work_comes_to_the_optimum_however_unequal_the_steps() -> None:
    assert optimum(SAMPLES, (4, 4)) == pytest.approx(0.75, abs=1e-6)
    assert abs(optimum(SAMPLES, (16, 2)) - 0.75) > 0.3
    assert optimum(FED_NOVA, (16, 2)) == pytest.approx(0.75, abs=0.03)


def test_statistics_are_never_weighed_beyond_their_mean() -> None:
    """All variances are 1 and become 0.1: what is added must not take them below."""
    updates = [update(16, 10), update(1, 10)]
    vectors: list[Floats] = [np.full(4, -0.9, np.float32) for _ in updates]
    work = work_of(FED_NOVA, updates, vectors, 2, trained=2)
    assert work[:2].tolist() == pytest.approx([-0.9 * (8.5 / 32 + 4.25)] * 2, rel=1e-6)
    assert work[2:].tolist() == pytest.approx([-0.9] * 2)
