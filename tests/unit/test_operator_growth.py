"""A job that grows by doubling: who gets a worker when."""

import pytest

from edgetrain_operator.core.growth import WAVE_SECONDS
from edgetrain_operator.core.hindrances import PATIENCE_SECONDS
from edgetrain_operator.core.model import ContainerTrouble
from edgetrain_protocol.report import TrainerState
from tests.support.world import World

NODES = "abcdefgh"


def doubling(**nodes: int) -> World:
    world = World.of(*NODES, elastic={"growth": "doubling"}, nodes=nodes)
    world.settle()
    return world


def workers(world: World) -> int:
    return len({pod.node for pod in world.pods.values() if pod.living})


def join(world: World) -> None:
    """All that have a pod report, become members, and train."""
    nodes = sorted(pod.node for pod in world.pods.values() if pod.living)
    for node in nodes:
        world.say(node)
    world.settle()
    world.train(*world.members, number=len(world.members))
    world.settle()


def test_as_it_comes_all_nodes_get_a_worker_at_once() -> None:
    world = World.of(*NODES)
    world.settle()
    assert workers(world) == len(NODES)


@pytest.mark.parametrize(
    ("nodes", "waves"), [({}, [1, 2, 4, 8, 8]), ({"min": 3}, [3, 6, 8]), ({"min": 2, "max": 5}, [2, 4, 5, 5])]
)
def test_it_begins_with_min_and_doubles_once_those_are_members(
    nodes: dict[str, int], waves: list[int]
) -> None:
    world = doubling(**nodes)
    for wave in waves:
        assert workers(world) == wave
        world.say(world.pods[next(iter(world.pods))].node, TrainerState.STARTING)
        world.settle()
        assert workers(world) == wave
        join(world)


def test_who_waits_for_its_turn_is_told_so() -> None:
    world = doubling(min=2)
    assert "c: elastic.growth is doubling: once those before it train" in world.condition("Scheduled").message
    assert world.condition("Scheduled").reason == "NodesFound"


def test_a_wrong_image_ends_the_job_on_few_nodes() -> None:
    missing = ContainerTrouble("trainer", "ErrImagePull", "docker.io/library/nope:1: not found")
    for least in (1, 2):
        world = doubling(min=least)
        for _ in range(3):
            for node in {pod.node for pod in world.pods.values()}:
                world.change_pod(node, trouble=missing)
            world.settle()
            world.pass_time(PATIENCE_SECONDS)
            world.settle()
        assert world.condition("Failed").reason == "ImagePullFailed" and world.made == 2


def test_a_worker_that_does_not_come_holds_up_the_others_for_four_minutes() -> None:
    world = doubling(min=2)
    world.pass_time(WAVE_SECONDS - 1)
    world.settle()
    assert workers(world) == 2
    world.pass_time(1)
    world.settle()
    assert workers(world) == 4


def test_who_has_grown_keeps_its_workers_when_members_are_lost() -> None:
    world = doubling(min=2)
    join(world)
    join(world)
    assert workers(world) == 8
    left = world.members[:2]
    world.train(*left, number=9, lost=tuple(world.members[2:]))
    world.settle()
    assert workers(world) == 8
