"""Sums of packed vectors over real process groups: alike on all members, and nothing is left out for good."""

from collections.abc import Iterator

import numpy as np
import pytest

from edgetrain_protocol.strategy import Payload
from tests.support.payloads import BUFFERS, Summed, summed, trained
from tests.support.reducers import Reducers

WAYS = [("ring", 0), ("star", 0), ("star", 1)]
PACKED = [Payload.BF16, Payload.INT8, Payload.LOW_RANK]
EXACT = -(BUFFERS + 1)
"""From here on in the vector: buffers and the loss, which are never packed."""


@pytest.fixture(scope="module", params=[2, 4])
def group(request: pytest.FixtureRequest) -> Iterator[Reducers]:
    reducers = Reducers([("", "127.0.0.1")] * request.param)
    yield reducers
    reducers.close()


def off(ranks: list[Summed]) -> float:
    """By how much what came out is off what was put in, as a part of it."""
    truth = np.sum([one.brought for one in ranks], axis=0)
    return float(np.linalg.norm(ranks[0].got - truth) / np.linalg.norm(truth))


def check_alike(ranks: list[Summed]) -> None:
    assert len({tuple(one.totals) for one in ranks}) == 1, "members have different bits"
    assert len({one.factors for one in ranks}) == 1


@pytest.mark.parametrize(("kind", "hub"), WAYS)
@pytest.mark.parametrize("payload", list(Payload))
def test_all_members_have_the_same_bits_and_residues_are_what_is_missing(
    group: Reducers, kind: str, hub: int, payload: Payload
) -> None:
    ranks = group.do(summed, kind, hub, [payload] * 12)
    check_alike(ranks)
    truth, left = (np.sum([getattr(one, name) for one in ranks], axis=0) for name in ("brought", "left"))
    if payload is not Payload.BF16:
        np.testing.assert_allclose(ranks[0].got + left, truth, rtol=1e-4, atol=1e-3)
    np.testing.assert_allclose(ranks[0].got[EXACT:], truth[EXACT:], rtol=1e-5, atol=1e-5)
    assert (payload in (Payload.INT8, Payload.LOW_RANK)) == left.any()


@pytest.mark.parametrize(("kind", "hub"), WAYS[:2])
def test_the_longer_the_less_is_off(group: Reducers, kind: str, hub: int) -> None:
    """What a step leaves out does not add up. Of matrices without any structure low rank leaves out most."""
    for payload, bound in ((Payload.INT8, 0.002), (Payload.LOW_RANK, 0.4)):
        few, many = (off(group.do(summed, kind, hub, [payload] * steps)) for steps in (4, 64))
        assert many < few / 2 and many < bound


@pytest.mark.parametrize(("kind", "hub"), WAYS[:2])
def test_what_is_left_out_by_one_payload_goes_with_the_next(group: Reducers, kind: str, hub: int) -> None:
    mixed = [Payload.INT8, Payload.INT8, Payload.LOW_RANK, Payload.LOW_RANK, Payload.INT8, Payload.FP32]
    ranks = group.do(summed, kind, hub, mixed)
    check_alike(ranks)
    assert not any(one.left.any() for one in ranks)
    assert off(ranks) < 1e-5


def test_low_rank_goes_on_from_its_factors_however_vectors_are_cut(group: Reducers) -> None:
    """The aggregator adds number by number in the order of ranks, so that a cut changes no bit."""
    one, other, mixed = (
        group.do(summed, "star", 0, [Payload.LOW_RANK] * 6, 0, -1, largest)
        for largest in ((1 << 12,), (1 << 30,), (1 << 12, 1 << 30))
    )
    assert one[0].totals == other[0].totals == mixed[0].totals


@pytest.mark.parametrize(("kind", "hub"), WAYS[:2])
@pytest.mark.parametrize("payload", PACKED)
def test_training_comes_as_far_as_by_fp32(group: Reducers, kind: str, hub: int, payload: Payload) -> None:
    exact = group.do(trained, kind, hub, Payload.FP32, 150)
    packed = group.do(trained, kind, hub, payload, 150)
    assert len({parameters for _, parameters in packed}) == 1
    first, last = packed[0][0][0], packed[0][0][-1]
    assert last < 0.1 * first and last < 1.2 * exact[0][0][-1] + 0.01


def test_what_is_small_goes_as_it_is_by_a_ring(group: Reducers) -> None:
    ranks = group.do(summed, "ring", 0, [Payload.INT8] * 2, 1 << 30)
    check_alike(ranks)
    assert off(ranks) < 1e-6 and not ranks[0].left.any()


@pytest.mark.parametrize(("kind", "hub"), WAYS[:2])
@pytest.mark.parametrize("payload", PACKED)
def test_a_gradient_that_is_not_finite_is_seen_by_all_in_its_step_alone(
    group: Reducers, kind: str, hub: int, payload: Payload
) -> None:
    ranks = group.do(summed, kind, hub, [payload] * 5, 0, 2)
    assert len({tuple(one.totals) for one in ranks}) == 1
    assert np.isfinite(ranks[0].got).all()
