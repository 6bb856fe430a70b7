"""Deadline, time to live and success, as people know them of a Job."""

import pytest

from edgetrain_operator.core.actions import DeleteJob
from edgetrain_operator.core.lifecycle import WIND_DOWN_SECONDS
from edgetrain_protocol.report import TrainerState
from tests.support.world import World, trained

DEADLINE = {"runPolicy": {"activeDeadlineSeconds": 100}}


def deleted(world: World) -> bool:
    return any(isinstance(action, DeleteJob) for action in world.settle().actions)


def failed(world: World) -> bool:
    return world.condition("Failed").status == "True"


def pass_training(world: World, seconds: float, node: str = "a") -> None:
    world.pass_time(seconds)
    world.train(node)
    world.settle()


def test_the_deadline_counts_from_the_start_and_not_a_second_early() -> None:
    world = trained("a", **DEADLINE)
    pass_training(world, 99)
    assert not failed(world)
    pass_training(world, 1)
    assert failed(world) and world.status.completion_time is not None


def test_a_deadline_that_is_raised_in_time_is_the_new_one() -> None:
    world = trained("a", **DEADLINE)
    world.spec = {"runPolicy": {"activeDeadlineSeconds": 300}}
    pass_training(world, 200)
    assert not failed(world)
    world.spec = {"runPolicy": {"activeDeadlineSeconds": 150}}
    world.settle()
    assert failed(world), "lowered below what has passed"


def test_a_job_that_has_finished_by_its_deadline_is_complete() -> None:
    world = trained("a", **DEADLINE)
    world.pass_time(101)
    world.say("a", TrainerState.FINISHED, step=400)
    world.settle()
    assert world.status.phase == "Complete"


def test_time_that_a_job_is_suspended_does_not_count_and_the_deadline_begins_anew() -> None:
    world = trained("a", **DEADLINE)
    pass_training(world, 90)
    world.spec = DEADLINE | {"suspend": True}
    world.settle()
    assert world.status.start_time is None
    world.pass_time(10_000)
    world.change_pod("a", phase="Succeeded")
    world.settle()
    world.finish_deletions()
    world.spec = DEADLINE | {"suspend": False}
    world.settle()
    assert not failed(world)
    world.pass_time(99)
    world.settle()
    assert not failed(world)
    world.pass_time(2)
    world.settle()
    assert failed(world)


def test_a_job_made_suspended_has_not_begun() -> None:
    world = World.of("a", suspend=True, **DEADLINE)
    world.settle()
    world.pass_time(10_000)
    world.settle()
    assert (world.status.phase, world.status.start_time, world.pods) == ("Suspended", None, {})


def test_a_failed_job_is_deleted_after_its_time_too() -> None:
    world = trained("a", runPolicy={"activeDeadlineSeconds": 100, "ttlSecondsAfterFinished": 60})
    pass_training(world, 100)
    world.change_pod("a", phase="Succeeded")
    assert not deleted(world)
    world.pass_time(61)
    assert deleted(world)


def test_a_job_that_is_to_go_at_once_gives_its_workers_time_to_end() -> None:
    world = trained("a", runPolicy={"ttlSecondsAfterFinished": 0})
    world.say("a", TrainerState.FINISHED)
    assert not deleted(world)
    world.pass_time(WIND_DOWN_SECONDS)
    assert deleted(world)


@pytest.mark.parametrize("before", [None, 10_000])
def test_time_to_live_can_be_set_and_changed_after_the_end(before: int | None) -> None:
    world = trained("a", runPolicy={"ttlSecondsAfterFinished": before})
    world.say("a", TrainerState.FINISHED)
    world.settle()
    world.change_pod("a", phase="Succeeded")
    world.pass_time(100)
    assert not deleted(world)
    world.spec = {"runPolicy": {"ttlSecondsAfterFinished": 50}}
    assert deleted(world)


def test_who_fails_in_the_last_moment_does_not_take_the_model_from_the_others() -> None:
    world = trained("a", "b", "c")
    world.say("a", TrainerState.FINISHED, step=400, model="/models/m")
    for node in "bc":
        world.say(node, TrainerState.FAILED, error="no", error_reason="ProgramFailed")
    world.settle()
    assert (world.status.phase, world.status.model) == ("Complete", "a:/models/m")


def test_pods_of_which_one_did_not_succeed_are_no_success() -> None:
    world = trained("a", "b")
    world.reports.clear()
    world.since = world.now
    world.change_pod("a", phase="Succeeded")
    world.change_pod("b", phase="Failed")
    world.settle()
    assert world.condition("Complete").status == "False"
