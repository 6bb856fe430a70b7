"""What a named strategy comes to, and what the plan says by it of how work is merged."""

from typing import Any

import pytest

from edgetrain_operator.core.presets import PRESETS
from edgetrain_protocol.plan import RoundSettings
from edgetrain_protocol.strategy import MergeWeights, OuterRule, Preset, RoundPayload, RoundPolicy
from tests.support.rounds_world import begun as begun_with
from tests.support.rounds_world import rounds
from tests.support.world import World

NESTEROV = {"outer": OuterRule.NESTEROV, "learning_rate": 0.7, "momentum": 0.9}
DELAYED = NESTEROV | {"outer": OuterRule.DELAYED_NESTEROV}


def begun(**strategy: Any) -> World:
    world = begun_with("abc", strategy=strategy)
    world.settle()
    return world


@pytest.mark.parametrize(
    ("strategy", "steps", "settings"),
    [
        ({"preset": "local-sgd"}, 16, {}),
        ({"preset": "fedavg"}, 50, {"weights": MergeWeights.SAMPLES}),
        ({"preset": "fednova"}, 50, {"weights": MergeWeights.FED_NOVA}),
        ({"preset": "fedprox"}, 50, {"weights": MergeWeights.SAMPLES, "proximal": 0.01}),
        ({"preset": "diloco"}, 500, NESTEROV),
        ({"preset": "async"}, 50, DELAYED | {"policy": RoundPolicy.STALENESS, "limit": 8}),
        ({"preset": "n-sync", "roundLimit": 2}, 16, {"policy": RoundPolicy.GROUPS, "limit": 2}),
        ({"preset": "n-batch-sync", "roundLimit": 90}, 16, {"policy": RoundPolicy.STEPS, "limit": 90}),
        ({"preset": "diloco", "localSteps": 30, "outerMomentum": 0.5}, 30, NESTEROV | {"momentum": 0.5}),
        ({"preset": "diloco", "outer": "plain"}, 500, {}),
        ({"preset": "async", "roundPolicy": "sync"}, 50, DELAYED),
        ({"preset": "async", "roundLimit": 3}, 50, DELAYED | {"policy": RoundPolicy.STALENESS, "limit": 3}),
        ({"grouping": "single", "outerLearningRate": 0.5}, 16, {"learning_rate": 0.5}),
        ({"preset": "local-sgd", "roundPayload": "int8"}, 16, {"payload": RoundPayload.INT8}),
    ],
)
def test_it_counts_where_the_job_does_not_say(
    strategy: dict[str, Any], steps: int, settings: dict[str, Any]
) -> None:
    found = rounds(begun(**strategy))
    assert (found.local_steps, found.settings) == (steps, RoundSettings(**settings))


@pytest.mark.parametrize("strategy", [{}, {"preset": "ddp"}, {"preset": "diloco", "grouping": "all"}])
def test_one_group_merges_nothing(strategy: dict[str, Any]) -> None:
    plan = begun(**strategy).stored.plan
    assert plan and plan.rounds is None


def test_each_that_may_be_named_stands_for_something() -> None:
    assert set(PRESETS) == set(Preset)


def test_what_is_changed_while_the_job_runs_is_in_its_next_plan() -> None:
    world = begun(grouping="single")
    revision = world.plan.revision
    world.spec = world.spec | {"strategy": {"grouping": "single", "roundPolicy": "groups", "roundLimit": 2}}
    world.settle()
    assert world.plan.revision > revision
    assert rounds(world).settings == RoundSettings(policy=RoundPolicy.GROUPS, limit=2)
