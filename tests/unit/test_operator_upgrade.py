"""What an upgrade of the chart may do to jobs that run: nothing."""

from dataclasses import replace

from edgetrain_operator.core.actions import Create, DeletePod
from edgetrain_operator.core.model import Defaults
from tests.support.world import START, World, edge_node, trained

OTHERS = Defaults("registry.example/edgetrain:2", "198.51.100.7:30443", "Always")


def upgraded(world: World) -> World:
    """As the next operator finds it, with another chart's settings."""
    return replace(world, defaults=OTHERS, since=world.now)


def test_running_pods_and_their_plan_are_left_alone() -> None:
    before = trained("a", "b")
    after = upgraded(before)
    decision = after.settle()
    assert not [action for action in decision.actions if isinstance(action, Create | DeletePod)]
    assert (after.pods, after.plan) == (before.pods, before.plan)


def test_pods_made_from_then_on_have_the_new_settings() -> None:
    world = upgraded(trained("a"))
    world.nodes["b"] = edge_node("b", ready_since=START - 60)
    (made,) = [
        a.manifest for a in world.step().actions if isinstance(a, Create) and a.manifest["kind"] == "Pod"
    ]
    (trainer,) = made["spec"]["containers"]
    assert (trainer["image"], trainer["imagePullPolicy"]) == (OTHERS.trainer_image, OTHERS.pull_policy)
