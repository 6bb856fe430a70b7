"""The outer optimisers, each against its definition, by those who know no more than what versions add."""

import numpy as np
import pytest
import torch

from edgetrain.aggregator.outer import Outer
from edgetrain.payload.codec import Floats
from edgetrain.rounds.agreed import Agreed
from edgetrain.rounds.entries import Contribution, Merge, UpdateKey
from edgetrain_protocol.history import History
from edgetrain_protocol.strategy import OuterRule, RoundPolicy

NUMBERS, ROUNDS = 1000, 200
DILOCO = Agreed(outer=OuterRule.NESTEROV, learning_rate=0.7, momentum=0.9)
DELAYED = Agreed(outer=OuterRule.DELAYED_NESTEROV, learning_rate=0.7, momentum=0.9)


def works(rounds: int = ROUNDS) -> list[Floats]:
    """Of rounds that have a direction in common, and much noise."""
    random = np.random.default_rng(1)
    return [(0.1 + random.normal(size=NUMBERS)).astype(np.float32) for _ in range(rounds)]


def merge(version: int, arrived: int, groups: int) -> Merge:
    update = Contribution(UpdateKey(History(1, "g", 1), version), "", version - 1, (), 1)
    return Merge(version, version - 1, (update,) * arrived, groups, 1, "")


def summed(agreed: Agreed, arrivals: int = 1, groups: int = 1, trained: int = NUMBERS) -> Floats:
    """All that is added for those works, by one who leads and moves on by what it adds."""
    outer, total = Outer(agreed), np.zeros(NUMBERS, np.float32)
    for version, work in enumerate(works(), 1):
        added = outer.added(work, trained, arrivals, groups)
        outer = outer.after(merge(version, arrivals, groups), added, trained)
        total = np.add(total, added)
    return total


def test_plain_is_the_work_times_the_rate() -> None:
    one = works(1)[0]
    assert Outer().added(one, NUMBERS, 1, 1).tobytes() == one.tobytes()
    half = Outer(Agreed(learning_rate=0.5)).added(one, NUMBERS, 1, 1)
    assert half.tobytes() == (one * np.float32(0.5)).tobytes()


def test_nesterov_is_torchs() -> None:
    parameter = torch.nn.Parameter(torch.zeros(NUMBERS))
    optimizer = torch.optim.SGD([parameter], lr=0.7, momentum=0.9, nesterov=True)
    for work in works():
        parameter.grad = torch.from_numpy(-work)
        optimizer.step()
    np.testing.assert_allclose(summed(DILOCO), parameter.detach().numpy(), rtol=1e-4, atol=1e-3)


@pytest.mark.parametrize("groups", [1, 4])
def test_delayed_nesterov_moves_its_momentum_once_for_as_many_updates_as_groups(
    groups: int,
) -> None:
    """As published, with the gradient -work and c = 0."""
    theta, momentum, buffer = np.zeros(NUMBERS), np.zeros(NUMBERS), np.zeros(NUMBERS)
    for arrived, work in enumerate(works(), 1):
        buffer = buffer + work
        if arrived % groups:
            theta = theta + 0.7 * work
        else:
            momentum, buffer = 0.9 * momentum + buffer, np.zeros(NUMBERS)
            theta = theta + 0.7 * (0.9 * momentum + work)
    np.testing.assert_allclose(summed(DELAYED, groups=groups), theta, rtol=1e-4, atol=1e-3)


@pytest.mark.parametrize("agreed", [DILOCO, DELAYED])
def test_statistics_are_added_as_they_are(agreed: Agreed) -> None:
    outer = Outer(agreed)
    variance = np.full(NUMBERS, 1.0, np.float32)
    for version in range(1, 50):
        work = np.multiply(variance, np.float32(-0.5))
        added = outer.added(work, 0, 1, 1)
        outer = outer.after(merge(version, 1, 1), added, 0)
        variance = np.add(variance, added)
    assert (variance > 0).all()


def test_another_optimiser_begins_without_momentum_and_other_rates_keep_it() -> None:
    outer = Outer(DILOCO).after(merge(1, 1, 1), works(1)[0], NUMBERS)
    faster = Agreed(outer=OuterRule.NESTEROV, learning_rate=1.0, momentum=0.5)
    assert outer.under(faster).state is outer.state
    assert outer.under(DELAYED).state.momentum is None


def test_settings_are_read_as_they_were_written_and_the_usual_ones_are_none() -> None:
    assert Agreed().text == "" and Agreed.of("") == Agreed()
    odd = Agreed(RoundPolicy.STEPS, 40, outer=OuterRule.NESTEROV, learning_rate=0.7, momentum=0.9)
    assert Agreed.of(odd.text) == odd
