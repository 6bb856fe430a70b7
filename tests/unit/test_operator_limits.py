"""Failures by node and by job: who is left out, when a job has failed, and how a node comes back."""

from dataclasses import replace

import pytest

from edgetrain_operator.core.failure_limits import limit_per_node
from edgetrain_operator.core.naming import worker_name
from edgetrain_protocol.history import ALL
from edgetrain_protocol.report import Checkpoint, TrainerState
from edgetrain_protocol.run_policy import RunPolicy
from tests.support.world import World, edge_node, trained

CAMERA = "cannot open /dev/camera0: no such device"


def fail(world: World, *nodes: str, times: int = 1) -> None:
    """The program ends with an error, again and again, while the others train on."""
    for _ in range(times):
        for node in nodes:
            number = world.stored.workers[worker_name(node)].failed_incarnations + 1
            world.say(
                node,
                TrainerState.FAILED,
                incarnation=f"{node}-{number}",
                error=CAMERA,
                error_reason="ProgramFailed",
            )
        world.settle()


def finish_removal(world: World) -> None:
    """The pods that were deleted are gone."""
    world.finish_deletions()
    world.settle()


LIMITS = [(6, None, 3), (7, None, 4), (50, None, 25), (6, 0, 0), (6, 5, 5), (6, 6, None), (6, 9, None)]
LIMITS += [(0, None, None), (1, None, None), (2, None, 1)]


@pytest.mark.parametrize(("of_job", "given", "limit"), LIMITS)
def test_the_limit_per_node_is_half_of_the_jobs_and_plays_no_part_above_it(
    of_job: int, given: int | None, limit: int | None
) -> None:
    assert limit_per_node(RunPolicy(backoff_limit=of_job, backoff_limit_per_node=given)) == limit


def test_one_bad_node_is_left_out_and_the_job_goes_on() -> None:
    world = trained("a", "b", "c", nodes={"min": 2})
    fail(world, "c", times=3)
    assert world.pod("c").living and "NodeLeftOut" not in world.told, "three failures are within the limit"
    fail(world, "c")
    assert world.pod("c").deleting and "c" not in world.members
    finish_removal(world)
    world.pass_time(10_000)
    world.train("a", "b", number=2)
    world.settle()
    assert {pod.node for pod in world.pods.values()} == {"a", "b"}
    assert world.told.count("NodeLeftOut") == 1
    degraded = world.condition("Degraded")
    assert (degraded.status, degraded.reason) == ("True", "NodeLeftOut")
    assert degraded.message.startswith("c: left out after 4 failures") and CAMERA in degraded.message
    assert world.condition("Training").status == "True"
    assert world.lines() == {"c": "Failed", "a": "Training", "b": "Training"}
    assert world.status.workers.desired == 2
    assert world.status.failures == 0, "it costs the job no more"


def test_what_is_acute_is_told_before_a_node_that_is_left_out() -> None:
    world = trained("a", "b", "c")
    fail(world, "c", times=4)
    finish_removal(world)
    fail(world, "b")
    degraded = world.condition("Degraded")
    assert degraded.reason == "ProgramFailed" and "NodeLeftOut on c" in degraded.message
    for node in "ab":
        world.say(node, TrainerState.PAUSED)
    world.settle()
    assert world.condition("Training").reason == "NoMajority", "it does not wait for the one left out"


def test_failures_of_others_count_from_none_after_a_node_was_left_out() -> None:
    world = trained("a", "b", "c", nodes={"min": 2})
    fail(world, "c", times=4)
    finish_removal(world)
    fail(world, "b", times=6)
    assert world.condition("Failed").status == "False" and world.pod("b").living
    fail(world, "b")
    failed = world.condition("Failed")
    assert failed.status == "True" and "7 failures, runPolicy.backoffLimit is 6" in failed.message
    assert CAMERA in failed.message


def test_a_node_that_the_job_cannot_do_without_is_not_left_out() -> None:
    world = trained("a", "b", nodes={"min": 2})
    fail(world, "b", times=6)
    assert world.pod("b").living and not world.stored.workers[worker_name("b")].left_out
    assert world.condition("Failed").status == "False"
    fail(world, "b")
    assert world.condition("Failed").status == "True"


def test_a_node_too_old_for_a_worker_does_not_stand_in_for_another() -> None:
    world = trained("a", "b", nodes={"min": 2})
    world.nodes["old"] = edge_node("old", kubelet="v1.28.9")
    fail(world, "b", times=5)
    assert world.pod("b").living


def test_of_nodes_that_never_trained_none_is_left_out_for_what_fails_on_all() -> None:
    """The image lacks a package: leaving out one after another would only put off the end."""
    world = World.of("a", "b")
    world.settle()
    fail(world, "a", times=4)
    assert "NodeLeftOut" in world.told, "for all that is known the other is well"
    world = World.of("a", "b")
    world.settle()
    fail(world, "a", "b", times=3)
    fail(world, "a")
    assert "NodeLeftOut" not in world.told and world.condition("Failed").status == "True"


def test_all_that_fail_alike_end_the_job_and_are_not_left_out_one_by_one() -> None:
    world = trained("a", "b", "c", nodes={"min": 2})
    fail(world, "a", "b", "c", times=2)
    assert world.condition("Failed").status == "False"
    fail(world, "a", "b", "c")
    assert world.condition("Failed").status == "True"
    assert "NodeLeftOut" not in world.told


def fail_in_formation(world: World, *nodes: str) -> None:
    """The program that was in the newest formation ends on these; afterwards it starts again."""
    for node in nodes:
        said = world.reports[worker_name(node)].training
        assert said is not None
        world.say(node, TrainerState.FAILED, incarnation=said.incarnation, error=CAMERA)
        world.settle()


def train_again(world: World, number: int, *nodes: str) -> None:
    """All start anew and form again."""
    for node in nodes:
        world.say(node, incarnation=f"{node}-start-{number}")
    world.settle()
    world.train(*nodes, number=number)
    for node in nodes:
        part = world.reports[worker_name(node)].training
        assert part is not None
        again = part.model_copy(update={"incarnation": f"{node}-start-{number}"})
        world.reports[worker_name(node)] = replace(world.reports[worker_name(node)], training=again)
    world.settle()


def test_what_all_members_of_a_formation_meet_counts_once_and_against_no_node() -> None:
    """A bad sample on eight nodes: more failures than backoffLimit, and one cause."""
    nodes = tuple("abcdefgh")
    world = trained(*nodes)
    for number in range(2, 8):
        fail_in_formation(world, *nodes)
        assert world.status.failures == number - 1
        assert world.condition("Failed").status == "False" and "NodeLeftOut" not in world.told
        train_again(world, number, *nodes)
    fail_in_formation(world, *nodes)
    assert world.condition("Failed").status == "True"
    assert "7 failures, runPolicy.backoffLimit is 6" in world.condition("Failed").message


def test_what_one_member_meets_again_and_again_counts_as_its_own() -> None:
    world = trained("a", "b", "c")
    for number in range(2, 5):
        fail_in_formation(world, "b")
        assert world.status.failures == number - 1
        train_again(world, number, "a", "b", "c")
    fail_in_formation(world, "b")
    assert world.pod("b").deleting and world.status.failures == 0


def test_of_nodes_that_fail_too_often_at_once_only_so_many_are_left_out_as_can_be() -> None:
    world = trained("a", "b", "c", nodes={"min": 2}, runPolicy={"backoffLimit": 9, "backoffLimitPerNode": 1})
    fail(world, "b", "c", times=2)
    assert [node for node in "abc" if world.stored.workers[worker_name(node)].left_out] == ["b"]
    assert world.status.failures == 2


def test_a_left_out_node_stays_out_while_another_is_dark() -> None:
    world = trained("a", "b", "c", nodes={"min": 2})
    fail(world, "c", times=4)
    finish_removal(world)
    del world.nodes["b"]
    world.remove_pod("b")
    world.train("a", number=2)
    world.settle()
    assert {pod.node for pod in world.pods.values()} == {"a"}
    scheduled = world.condition("Scheduled")
    assert scheduled.reason == "TooFewNodes" and "c: left out" in scheduled.message
    assert world.condition("Failed").status == "False"


def test_a_raised_limit_brings_the_node_back_with_nothing_against_it() -> None:
    world = trained("a", "b", "c", nodes={"min": 2})
    fail(world, "c", times=4)
    finish_removal(world)
    world.spec |= {"runPolicy": {"backoffLimitPerNode": 4}}
    world.settle()
    assert world.pod("c").living and world.told.count("NodeTakenBack") == 1
    assert world.lines()["c"] == "Pending" and world.status.failures == 0
    fail(world, "c", times=4)
    assert world.pod("c").living
    fail(world, "c")
    assert world.pod("c").deleting


def test_excluding_a_node_for_a_while_forgets_its_failures() -> None:
    world = trained("a", "b", "c", nodes={"min": 2})
    fail(world, "c", times=4)
    finish_removal(world)
    world.spec |= {"nodes": {"min": 2, "exclude": ["c"]}}
    world.settle()
    assert "c" not in world.lines()
    world.spec |= {"nodes": {"min": 2}}
    world.settle()
    assert world.pod("c").living and world.condition("Failed").status == "False"


def test_a_job_that_shall_end_at_the_first_failure_does() -> None:
    world = trained("a", "b", "c", nodes={"min": 1}, runPolicy={"backoffLimit": 0})
    fail(world, "c")
    assert world.condition("Failed").status == "True"


def test_failures_seen_by_the_kubelet_alone_leave_a_node_out_too() -> None:
    world = trained("a", "b", "c", nodes={"min": 2})
    for restart in (1, 2, 3, 4):
        assert world.pod("c").living
        world.change_pod("c", crashes=restart)
        world.settle()
    assert world.pod("c").deleting
    assert "left out after 4 failures" in world.condition("Degraded").message


def test_restarts_after_power_cuts_count_for_nothing_when_the_program_fails_at_last() -> None:
    world = trained("a", "b", "c", nodes={"min": 2})
    world.change_pod("c", crashes=0)  # five power cuts: the kubelet's last end is none of the program's doing
    world.settle()
    world.change_pod("c", crashes=6)
    world.settle()
    assert world.status.failures == 1 and world.pod("c").living


def test_a_durable_checkpoint_on_a_left_out_node_is_nowhere() -> None:
    """Workers asked to start from it would wait for ever: it has no worker to give it."""
    world = trained("a", "b", "c", storage={"checkpoint": {"claim": {"size": "1Gi"}}})
    kept = Checkpoint(lineage=1, step=5, digest="d")
    group = world.group.model_copy(update={"durable": kept, "durable_on": (worker_name("c"),)})
    world.stored = world.stored.model_copy(update={"groups": {ALL: group}})
    fail(world, "c", times=4)
    world.remove_pod("a", "b", "c")
    world.settle()
    for node in "ab":
        world.say(node)
    world.settle()
    assert world.plan.generation == 2 and world.group.durable_step is None
