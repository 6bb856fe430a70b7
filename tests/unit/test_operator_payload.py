"""How gradients are packed: only where that is known to make steps shorter."""

from dataclasses import replace
from typing import Any

import pytest

from edgetrain_operator.core.groups.payload import Choice, ExchangeView, choose, step_seconds
from edgetrain_operator.fleet_state import NodeRate
from edgetrain_protocol.report import Totals, TrainerState, TrainingPart
from edgetrain_protocol.strategy import Payload, Reduction

FAST = {"bf16": 0.0002, "int8": 0.0004}
"""Seconds a MiB."""
MB = 10**6


def view(
    mbit: float, own: float = 0.1, codec: dict[str, float] = FAST, members: str = "abc", **changes: Any
) -> ExchangeView:
    totals = Totals(steps=10, phase_seconds={"forward": 4 * own, "backward": 6 * own, "reduce": 100.0})
    part = TrainingPart(state=TrainerState.TRAINING, incarnation="i", totals=totals, codec_seconds=codec)
    fields = {
        "reduction": Reduction.RING,
        "aggregator": members[0],
        "members": tuple(members),
        "rates": {worker: NodeRate(mbit * 1e6, 0.0, "a") for worker in members},
        "training": dict.fromkeys(members, part),
        "reduce_bytes": 4 * MB,
    }
    return ExchangeView(**{**fields, **changes})


def chosen(wish: Payload, before: Payload | None, of: ExchangeView) -> Payload:
    return choose(wish, before, of).payload


def test_what_is_asked_for_is_what_there_is() -> None:
    for wish in (Payload.FP32, Payload.BF16, Payload.INT8, Payload.LOW_RANK):
        assert choose(wish, Payload.INT8, view(1000)) == Choice(wish)


@pytest.mark.parametrize("reduction", [Reduction.RING, Reduction.STAR])
def test_slow_links_are_worth_packing_for_and_fast_ones_are_not(reduction: Reduction) -> None:
    slow, fast = view(10, reduction=reduction), view(10_000, reduction=reduction)
    assert chosen(Payload.AUTO, None, slow) is Payload.INT8
    assert chosen(Payload.AUTO, None, fast) is Payload.FP32
    assert chosen(Payload.AUTO, Payload.INT8, fast) is Payload.FP32


def test_a_device_that_packs_slowly_gets_what_it_packs_fast() -> None:
    slow = {"bf16": 0.001, "int8": 2.0}
    assert chosen(Payload.AUTO, None, view(10, codec=slow)) is Payload.BF16
    assert chosen(Payload.AUTO, Payload.INT8, view(10, codec=dict.fromkeys(FAST, 2.0))) is Payload.FP32


def test_what_runs_beside_backward_is_not_worth_packing() -> None:
    assert chosen(Payload.AUTO, None, view(100, own=2.0)) is Payload.FP32


def test_packing_of_the_hub_counts_for_each_member() -> None:
    many = view(1000, members="abcdefgh", reduction=Reduction.STAR)
    ring = replace(many, reduction=Reduction.RING)
    packing = [step_seconds(Payload.INT8, of) - 0.1 for of in (many, ring)]
    assert packing[0] > packing[1]


def test_nothing_changes_for_a_little() -> None:
    """Between what is worth beginning with and what is worth ending."""
    stays = [
        mbit
        for mbit in range(20, 5000, 20)
        if all(chosen(Payload.AUTO, now, view(mbit)) is now for now in (Payload.FP32, Payload.INT8))
    ]
    assert stays and max(stays) > 1.2 * min(stays)


def test_what_is_not_known_changes_nothing() -> None:
    known = view(10)
    unknown = [
        replace(known, reduce_bytes=0),
        replace(known, rates={}),
        replace(known, training={}),
        view(10, codec={}),
        view(10, own=0.0),
    ]
    for of in unknown:
        assert chosen(Payload.AUTO, None, of) is Payload.FP32
        assert chosen(Payload.AUTO, Payload.INT8, of) is Payload.INT8


def test_one_member_packs_nothing() -> None:
    assert chosen(Payload.AUTO, Payload.INT8, view(10, members="a")) is Payload.FP32


def test_a_change_says_why_and_nothing_else_does() -> None:
    assert choose(Payload.AUTO, None, view(10)).why == (
        "by int8 a step takes 1.13 s by prediction, by fp32 4.32 s"
    )
    assert choose(Payload.AUTO, Payload.INT8, view(10)).why == ""
    assert choose(Payload.AUTO, None, view(10_000)).why == ""
    assert "by fp32" in choose(Payload.AUTO, Payload.INT8, view(10_000)).why
