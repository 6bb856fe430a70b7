"""Probes of fleets that run for long, with noise, in many line-ups: what they cost and what they find."""

import random

import pytest
from hypothesis import HealthCheck, given, settings
from hypothesis import strategies as st

from tests.support.probed_fleet import MBIT, fleet_of

line_ups = st.lists(st.sampled_from([1, 2, 5, 10, 20, 50, 100, 300, 1000]), min_size=2, max_size=12)


@settings(max_examples=8, deadline=None, suppress_health_check=[HealthCheck.too_slow])
@given(line_ups, st.integers(0, 99))
def test_no_two_probes_overlap_and_no_link_gives_them_a_hundredth_of_its_time(
    mbit: list[int], seed: int
) -> None:
    fleet = fleet_of(*mbit, noise=0.1, seed=seed)
    fleet.run(1200)  # overlap is asserted at the beginning of each probe
    share = {worker: used / 1200 for worker, used in fleet.used.items()}
    assert max(share.values()) < 0.01, share


def test_pairs_grow_with_nodes_not_with_their_square() -> None:
    def pairs(nodes: int) -> int:
        fleet = fleet_of(*[1000] * 2, *[20] * (nodes - 2))
        fleet.run(150)
        return len({(worker, peers[0]) for _, worker, peers in fleet.probed})

    assert pairs(80) < 2.6 * pairs(40)


@pytest.mark.parametrize("seed", range(4))
@pytest.mark.parametrize("after", [60, 100, 200])
@pytest.mark.parametrize("mbit", [(100, 50, 20, 20, 10), (20, 10, 100, 20, 50)])
def test_a_fall_to_a_quarter_that_no_exchange_shows_is_found_in_half_a_minute(
    mbit: tuple[int, ...], after: float, seed: int
) -> None:
    """Also soon after the start, when the first probes are still to be paid for."""
    fleet = fleet_of(*mbit, noise=0.1, seed=seed)
    fastest = f"w-{mbit.index(100)}"
    fleet.run(after)
    fleet.rates[fastest] = 25 * MBIT
    fleet.run(25)
    rates = fleet.book.rates(fleet.now)
    assert rates[fastest].bits_per_second == pytest.approx(25 * MBIT, rel=0.25)
    fleet.run(600)
    assert max(fleet.used.values()) < 0.01 * (fleet.now - 1000)


def test_fastest_node_is_found_although_half_of_the_first_measures_fall_short() -> None:
    right = 0
    for seed in range(40):
        mbit = random.Random(seed).sample([100, 50, 20, 20, 10], 5)
        fleet = fleet_of(*mbit, noise=0.06, seed=seed, starved_seconds=25)
        fleet.run(60)
        right += fleet.best() == f"w-{mbit.index(100)}"
    assert right >= 38


def test_noise_of_a_fifth_is_no_leap() -> None:
    fleet = fleet_of(100, 70, 20, 20, 10, noise=0.2, seed=3)
    fleet.run(120)
    for _ in range(100):
        fleet.run(10)
        assert all(rate.confirmed for rate in fleet.book.rates(fleet.now).values())
        assert fleet.book.rates(fleet.now)["w-2"].bits_per_second == pytest.approx(20 * MBIT, rel=0.2)
