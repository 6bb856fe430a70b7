"""runPolicy.stopWhen: what is enough of training ends the job early, and well."""

from typing import Any

import pytest

from edgetrain_operator.core.actions import Event
from edgetrain_protocol.plan import Phase
from edgetrain_protocol.report import TrainerState
from tests.support.world import World, trained


def stopping(*nodes: str, **condition: Any) -> World:
    """A job whose workers train, with this one stop condition."""
    return trained(*nodes, runPolicy={"stopWhen": [condition]})


def goes_on(world: World, *nodes: str, **progress: Any) -> bool:
    """Whether no end is decided on after its workers have told this much."""
    world.pass_time(1)
    for node in nodes or ("a",):
        world.say(node, TrainerState.TRAINING, formation=formation_of(world, node), **progress)
    world.settle()
    assert world.plan.phase is Phase.TRAIN
    assert all(world.served(node).finish is world.plan.finish for node in nodes or ("a",))
    return not world.plan.finish


def formation_of(world: World, node: str) -> Any:
    training = next(r.training for r in world.reports.values() if r.head.node == node)
    return training.formation if training else None


@pytest.mark.parametrize(
    ("bound", "before", "met", "said"),
    [
        ({"atLeast": 0.9}, 0.8999, 0.9, "accuracy is 0.9, runPolicy.stopWhen says atLeast: 0.9"),
        ({"atMost": 0.1}, 0.1001, 0.1, "accuracy is 0.1, runPolicy.stopWhen says atMost: 0.1"),
        ({"atMost": 0.0}, 0.1, -1.0, "accuracy is -1, runPolicy.stopWhen says atMost: 0"),
    ],
)
def test_a_metric_meets_its_bound(bound: dict[str, float], before: float, met: float, said: str) -> None:
    world = stopping("a", metric={"name": "accuracy", **bound})
    assert goes_on(world, step=20, metrics={"other": met})
    assert goes_on(world, step=30, metrics={"accuracy": before})
    assert not goes_on(world, step=40, metrics={"accuracy": met})
    assert world.stored.stop_condition == said
    training = world.condition("Training")
    assert (training.status, training.reason) == ("True", "Finishing") and said in training.message
    assert world.told.count("StopConditionMet") == 1


def test_loss_is_the_last_steps_unless_the_program_logs_one() -> None:
    world = stopping("a", metric={"name": "loss", "atMost": 0.5})
    assert goes_on(world, step=20, loss=0.4, metrics={"loss": 0.6})
    assert goes_on(world, step=30, loss=None)
    assert not goes_on(world, step=40, loss=0.5)


def test_epochs_end_with_the_last_one_that_is_wanted() -> None:
    world = stopping("a", epochs=3)
    assert goes_on(world, step=20, epoch=1)
    assert not goes_on(world, step=21, epoch=2)
    assert world.stored.stop_condition.startswith("epoch 3 has begun")


def test_one_epoch_is_wanted_from_the_first_step_on() -> None:
    world = World.of("a", runPolicy={"stopWhen": [{"epochs": 1}]})
    world.settle()
    world.say("a")
    world.settle()
    assert world.plan.phase is Phase.TRAIN and not world.plan.finish
    world.train("a", step=1)
    world.settle()
    assert world.plan.finish


def test_steps_are_those_that_are_committed() -> None:
    world, rate = stopping("a", "b", steps=100), {"percent": 10.0, "steps_per_second": 9.0}
    assert goes_on(world, "a", "b", step=90, **rate)
    assert world.status.progress.eta_seconds == 90
    assert not goes_on(world, "a", "b", step=100, **rate)
    assert world.status.progress.eta_seconds is None, "it ends earlier"


def test_one_of_several_conditions_is_enough() -> None:
    wanted = [{"steps": 100}, {"metric": {"name": "accuracy", "atLeast": 0.9}}]
    world = trained("a", runPolicy={"stopWhen": wanted})
    assert goes_on(world, step=50, metrics={"accuracy": 0.5})
    assert not goes_on(world, step=60, metrics={"accuracy": 0.95})


def test_training_seconds_are_those_of_training() -> None:
    world = stopping("a", trainingSeconds=100)
    world.pass_time(60)
    assert goes_on(world, step=20)
    world.spec |= {"suspend": True}
    world.settle()
    world.pass_time(10_000)
    world.change_pod("a", phase="Succeeded")
    world.settle()
    world.finish_deletions()
    assert world.status.trained_seconds in (60, 61)
    world.spec |= {"suspend": False}
    world.settle()
    world.say("a")
    world.settle()
    world.train("a", number=2, step=30)
    world.settle()
    assert not world.plan.finish
    world.pass_time(30)
    assert goes_on(world, step=40)
    world.pass_time(10)
    assert not goes_on(world, step=50)
    assert "it has trained for 10" in world.stored.stop_condition


def test_what_was_met_once_is_not_taken_back() -> None:
    world = stopping("a", metric={"name": "accuracy", "atLeast": 0.9})
    assert not goes_on(world, step=40, metrics={"accuracy": 0.95})
    said = world.stored.stop_condition
    assert not goes_on(world, step=50, metrics={"accuracy": 0.5})
    world.spec = {"runPolicy": {"stopWhen": []}}
    assert not goes_on(world, step=60)
    assert world.stored.stop_condition == said and world.told.count("StopConditionMet") == 1


def test_a_job_that_has_lost_all_its_state_is_judged_anew() -> None:
    world = stopping("a", "b", metric={"name": "accuracy", "atLeast": 0.9})
    assert not goes_on(world, "a", "b", step=120, metrics={"accuracy": 0.95})
    world.remove_pod("a", "b")
    world.settle()
    for node in "ab":
        world.say(node)
    world.settle()
    assert (world.plan.generation, world.plan.origin) == (2, None)
    assert (world.plan.finish, world.stored.stop_condition) == (False, "")
    assert (world.status.progress.step, world.status.progress.metrics) == (0, {})
    world.train("a", "b", step=10)
    assert goes_on(world, "a", "b", step=20, metrics={"accuracy": 0.5})
    assert not goes_on(world, "a", "b", step=90, metrics={"accuracy": 0.91})
    assert world.stored.stop_condition.startswith("accuracy is 0.91")


def test_a_condition_that_is_added_while_the_job_runs_counts() -> None:
    world = trained("a")
    assert goes_on(world, step=40)
    world.spec = {"runPolicy": {"stopWhen": [{"steps": 30}]}}
    assert not goes_on(world, step=41)


def test_the_end_says_which_condition_was_met() -> None:
    world = stopping("a", steps=100)
    assert not goes_on(world, step=120)
    world.say("a", TrainerState.FINISHED, step=124, model="/models/m")
    world.settle()
    complete = world.condition("Complete")
    assert (complete.status, complete.reason) == ("True", "StopConditionMet")
    assert complete.message == (
        "120 steps are committed, runPolicy.stopWhen says steps: 100; "
        "training ended after step 124; the model is on a at /models/m"
    )
    assert world.status.model == "a:/models/m"


def test_pods_that_all_succeeded_are_the_same_success_where_nobody_told_of_its_end() -> None:
    world = stopping("a", steps=100)
    assert not goes_on(world, step=120)
    world.reports.clear()
    world.change_pod("a", phase="Succeeded")
    world.settle()
    assert world.condition("Complete").reason == "StopConditionMet"


def test_nothing_is_written_for_the_time_alone_that_a_job_trains() -> None:
    world = stopping("a", trainingSeconds=1000)
    assert goes_on(world, step=20)
    before = world.status, world.stored
    world.pass_time(3)
    decision = world.step()
    assert (decision.status.trained_seconds, decision.stored) == (before[0].trained_seconds, before[1])


def test_the_event_comes_with_the_plan_that_says_so() -> None:
    world = stopping("a", steps=100)
    world.pass_time(1)
    world.say("a", TrainerState.TRAINING, formation=formation_of(world, "a"), step=100)
    decision = world.step()
    assert decision.stored.plan and decision.stored.plan.finish
    text = "100 steps are committed, runPolicy.stopWhen says steps: 100: no further epoch begins"
    assert Event("Normal", "StopConditionMet", text) in decision.events
