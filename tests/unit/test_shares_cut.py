"""Shares: exact, alike on all members, and converging to equal step times."""

import pytest
from hypothesis import given
from hypothesis import strategies as st

from edgetrain.shares import MOST_CHANGE, SMALLEST, Speed, apportion, equal, follow_speeds

NAMES = st.text("abcdef", min_size=1, max_size=3)
WEIGHTS = st.dictionaries(NAMES, st.floats(1e-3, 1e3), min_size=1, max_size=8)
SPEEDS = st.one_of(st.just(0.0), st.floats(1e-3, 1e3))


@given(st.integers(0, 500), WEIGHTS)
def test_apportion_is_exact_and_starves_nobody(total: int, weights: dict[str, float]) -> None:
    counts = apportion(total, weights)
    assert sum(counts.values()) == total
    assert counts.keys() == weights.keys()
    assert total == 1 or 1 not in counts.values()
    assert total < SMALLEST * len(weights) or min(counts.values()) >= SMALLEST
    assert counts == apportion(total, dict(reversed(weights.items())))


@given(WEIGHTS, st.dictionaries(NAMES, SPEEDS, min_size=1, max_size=8))
def test_weights_sum_to_one_and_move_by_bounded_factors(
    weights: dict[str, float], speeds: dict[str, float]
) -> None:
    after = follow_speeds(weights, speeds)
    assert after.keys() == speeds.keys()
    assert sum(after.values()) == pytest.approx(1)
    known = sorted(weights.keys() & speeds.keys())
    for one in known:
        for other in known:
            moved = (after[one] / after[other]) / (weights[one] / weights[other])
            assert moved <= MOST_CHANGE**2 * (1 + 1e-9)


def test_equal_times_are_the_fixed_point_also_with_a_fixed_cost() -> None:
    cores = {"a": 4.0, "b": 4.0, "c": 2.0, "d": 1.0}
    weights, speeds = equal(cores), {name: Speed() for name in cores}
    seconds = dict.fromkeys(cores, 0.0)
    for _ in range(200):
        counts = apportion(256, weights)
        for name, samples in counts.items():
            seconds[name] = (0.02 + samples * 0.001) / cores[name]
            speeds[name].add(samples, seconds[name])
        weights = follow_speeds(weights, {name: speed.value for name, speed in speeds.items()})
    assert max(seconds.values()) / min(seconds.values()) < 1.1
