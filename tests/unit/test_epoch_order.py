"""The order of an epoch: a permutation that all compute alike, as good as any, of sets of any size."""

import itertools
import tracemalloc
from collections import Counter
from dataclasses import replace

import pytest
from hypothesis import given
from hypothesis import strategies as st

from edgetrain.epoch_order import PIECE, EpochOrder
from edgetrain.loop.order import Shuffled

SETS = st.integers(1, 200) | st.integers(PIECE - 2, 3 * PIECE)


@given(SETS, st.integers(0, 9), st.integers(0, 9), st.data())
def test_it_is_a_permutation_that_all_compute_alike(
    samples: int, seed: int, epoch: int, data: st.DataObject
) -> None:
    """Whatever part of it: one at a time in a small set, and any that are as large in a large one."""
    indices = EpochOrder(samples, seed, epoch).indices(range(samples))
    assert sorted(indices) == list(range(samples))
    least = 1 + samples // 500
    batch = data.draw(st.integers(least, 4 * least))
    parts = (range(begin, min(begin + batch, samples)) for begin in range(0, samples, batch))
    other = EpochOrder(samples, seed, epoch)
    assert indices == [index for part in parts for index in other.indices(part)]
    (alone,) = other.indices((position := data.draw(st.integers(0, samples - 1)),))
    assert alone == indices[position]


def test_epochs_and_seeds_have_different_orders() -> None:
    orders = [EpochOrder(100, seed, epoch).indices(range(100)) for seed in range(5) for epoch in range(5)]
    assert len(set(map(tuple, orders))) == 25


def test_all_orders_of_a_small_set_come_about_equally_often() -> None:
    """Chi-squared of the 24 orders of four: beyond 50 in one of a thousand cases, and the seed is fixed."""
    found = Counter(tuple(EpochOrder(4, 5, epoch).indices(range(4))) for epoch in range(4800))
    assert sum((count - 200) ** 2 / 200 for count in found.values()) < 50 and len(found) == 24


@pytest.mark.parametrize("samples", [11, 1000])
def test_neighbours_do_not_stay_together(samples: int) -> None:
    """Of those in the set as many are neighbours in the order as by chance: two of an epoch, in the mean."""
    kept = 0
    for epoch in range(400):
        order = EpochOrder(samples, 0, epoch).indices(range(samples))
        kept += sum(abs(a - b) == 1 for a, b in itertools.pairwise(order))
    assert 1.6 < kept / 400 < 2.4


def test_a_hundred_million_samples_take_no_room() -> None:
    tracemalloc.start()
    try:
        order = EpochOrder(100_000_000, 0, 3)
        found = order.indices(range(99_999_936, 100_000_000))
        _, most = tracemalloc.get_traced_memory()
    finally:
        tracemalloc.stop()
    assert len(set(found)) == 64 and most < 1 << 20


def test_a_loader_looks_the_same_indices_up() -> None:
    order, shuffled = EpochOrder(3 * PIECE + 5, 7, 0), Shuffled(EpochOrder(3 * PIECE + 5, 7, 0))
    batches = [
        range(8),
        range(PIECE - 3, PIECE + 3),
        (PIECE + 9, 4, PIECE + 10),
        range(3 * PIECE, 3 * PIECE + 5),
        (),
    ]
    for epoch in (0, 1, 0):
        for positions in batches:
            assert shuffled.indices(epoch, positions) == replace(order, epoch=epoch).indices(positions)
