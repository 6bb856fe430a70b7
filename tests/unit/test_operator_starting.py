"""Before the first step: what is waited for, for how long, and what ends a job without waiting."""

from dataclasses import replace
from typing import Any

import pytest
from hypothesis import given
from hypothesis import strategies as st

from edgetrain_operator.core.hindrances import PATIENCE_SECONDS
from edgetrain_operator.core.model import ContainerTrouble
from edgetrain_operator.core.naming import worker_name
from edgetrain_operator.core.report_view import TAKE_OVER_SECONDS
from edgetrain_protocol.report import Checkpoint, TrainerState
from tests.support.world import World, trained

PULL = 'rpc error: code = NotFound desc = failed to resolve reference "r.example/digits:2": not found'
NO_IMAGE = ContainerTrouble("trainer", "ErrImagePull", PULL)
BACKS_OFF = 'Back-off pulling image "r.example/digits:2"'
BACK_OFF = ContainerTrouble("trainer", "ImagePullBackOff", f"{BACKS_OFF}: ErrImagePull: {PULL}")
OLD_BACK_OFF = ContainerTrouble("trainer", "ImagePullBackOff", BACKS_OFF)
NO_WAY = ContainerTrouble(
    "trainer", "ErrImagePull", 'failed to do request: Head "https://r.example/v2/": dial tcp: i/o timeout'
)
NO_ROOM = ContainerTrouble("", "Unschedulable", "0/3 nodes are available: 1 Insufficient cpu")
NO_NAME = ContainerTrouble("trainer", "InvalidImageName", 'couldn\'t parse image name "Digits:2"')
NEVER_PULLED = ContainerTrouble("trainer", "ErrImageNeverPull", 'Container image "d" is not present')
NO_KEY = ContainerTrouble("trainer", "CreateContainerConfigError", "couldn't find key token in Secret a/b")
NO_SECRET = ContainerTrouble("trainer", "CreateContainerConfigError", 'secret "b" not found')


def starting(*nodes: str, **spec: Any) -> World:
    world = World.of(*nodes, **spec)
    world.settle()
    return world


def hinder(world: World, trouble: ContainerTrouble | None, *nodes: str) -> None:
    for node in nodes:
        world.change_pod(node, trouble=trouble)
    world.settle()


def wait(world: World, seconds: float = PATIENCE_SECONDS) -> None:
    world.pass_time(seconds)
    world.settle()


def failed(world: World) -> str:
    """The reason; empty while it has not."""
    condition = world.condition("Failed")
    return condition.reason if condition.status == "True" else ""


def test_an_image_that_no_node_finds_ends_the_job_after_a_number_of_tries() -> None:
    world = starting("a", "b", "c")
    hinder(world, NO_IMAGE, "a", "b", "c")
    wait(world, PATIENCE_SECONDS - 1)
    assert not failed(world)
    wait(world, 1)
    assert failed(world) == "ImagePullFailed"
    message = world.condition("Failed").message
    assert message.startswith("a: image registry.example/edgetrain:1 cannot be had (ErrImagePull: rpc error")
    assert "(also ImagePullFailed on b, ImagePullFailed on c)" in message
    assert message.endswith("waiting does not mend it: 0 nodes are left, spec.nodes.min is 1")
    assert world.told.count("ImagePullFailed") >= 1


def test_tries_in_between_change_nothing() -> None:
    world = starting("a")
    for trouble in (NO_IMAGE, OLD_BACK_OFF, None, BACK_OFF, NO_IMAGE, OLD_BACK_OFF):
        hinder(world, trouble, "a")
        stored = world.stored
        world.pass_time(PATIENCE_SECONDS / 5)
        world.settle()
        assert world.stored == stored, "each change is a write that all wait for"
    assert failed(world) == "ImagePullFailed"


@pytest.mark.parametrize("trouble", [NEVER_PULLED, NO_KEY])
def test_what_is_not_there_is_given_some_time(trouble: ContainerTrouble) -> None:
    world = starting("a")
    hinder(world, trouble, "a")
    assert not failed(world)
    wait(world)
    assert failed(world) in ("ImagePullFailed", "CreateContainerConfigError")


def test_a_name_that_is_none_ends_the_job_at_once() -> None:
    world = starting("a", "b")
    hinder(world, NO_NAME, "a", "b")
    assert failed(world) == "ImagePullFailed" and "InvalidImageName" in world.condition("Failed").message


@pytest.mark.parametrize(
    ("answer", "ends"),
    [
        ("docker.io/library/nope:1: not found", True),
        ("pull access denied, repository does not exist or may require authorization: server message: "
         "insufficient_scope: authorization failed", True),
        ("reading manifest 1 in docker.io/library/nope: manifest unknown", True),
        ("unauthorized: authentication required", True),
        ("no match for platform in manifest: not found", True),
        ('failed to do request: Head "https://r.example/v2/": dial tcp 10.0.0.1:443: i/o timeout', False),
        ("dial tcp: lookup r.example on 10.0.0.10:53: no such host", False),
        ("dial tcp 10.0.0.1:443: connect: connection refused", False),
        ("unexpected status from HEAD request to https://r.example/v2/: 503 Service Unavailable", False),
        ("429 Too Many Requests - toomanyrequests: You have reached your pull rate limit", False),
        ("http://mirror.local: not found; https://r.example: dial tcp: i/o timeout", False),
        ("x509: certificate signed by unknown authority", False),
        ("write /var/lib/containerd/blob: no space left on device", False),
    ],
)  # fmt: skip
def test_what_a_registry_answers_is_told_from_one_that_is_not_reached(answer: str, ends: bool) -> None:
    world = starting("a")
    hinder(world, ContainerTrouble("trainer", "ErrImagePull", f"rpc error: code = X desc = {answer}"), "a")
    wait(world)
    assert bool(failed(world)) is ends


@pytest.mark.parametrize("trouble", [NO_WAY, NO_ROOM, NO_SECRET, OLD_BACK_OFF, None])
def test_what_may_get_better_is_waited_for(trouble: ContainerTrouble | None) -> None:
    world = starting("a", "b")
    hinder(world, trouble, "a", "b")
    wait(world, 100_000)
    assert not failed(world)


def test_an_image_that_comes_in_time_is_no_trouble() -> None:
    world = starting("a")
    hinder(world, NO_IMAGE, "a")
    wait(world, PATIENCE_SECONDS - 1)
    hinder(world, NO_WAY, "a")
    hinder(world, NO_IMAGE, "a")
    wait(world, PATIENCE_SECONDS - 1)
    assert not failed(world), "another series of tries"
    world.say("a")
    wait(world, 1000)
    assert not failed(world)


def test_a_node_that_goes_dark_after_its_first_try_begins_anew_when_it_is_back() -> None:
    world = starting("a")
    hinder(world, NO_IMAGE, "a")
    world.nodes["a"] = replace(world.nodes["a"], ready=False)
    wait(world, 10_000)
    assert not failed(world), "nobody has tried since"
    world.nodes["a"] = replace(world.nodes["a"], ready=True)
    world.settle()
    wait(world, PATIENCE_SECONDS - 1)
    assert not failed(world)
    wait(world, 1)
    assert failed(world) == "ImagePullFailed"


def test_one_node_of_many_with_a_broken_registry_ends_nothing() -> None:
    world = starting("a", "b", "c", nodes={"min": 2})
    hinder(world, NO_IMAGE, "a")
    wait(world, 10_000)
    assert not failed(world)
    assert world.condition("Degraded").reason == "ImagePullFailed", "it is told"


def test_one_node_alone_without_an_image_waits_for_those_that_are_away() -> None:
    world = World.of("a", "b")
    world.nodes["b"] = replace(world.nodes["b"], ready=False)
    world.settle()
    hinder(world, NO_IMAGE, "a")
    wait(world, 10_000)
    assert not failed(world)
    del world.nodes["b"]
    world.settle()
    assert failed(world) == "ImagePullFailed"


def test_two_nodes_without_an_image_do_not_wait_for_a_third_that_is_away() -> None:
    world = World.of("a", "b", "c")
    world.nodes["c"] = replace(world.nodes["c"], ready=False)
    world.settle()
    hinder(world, NO_IMAGE, "a", "b")
    wait(world)
    assert failed(world) == "ImagePullFailed"


def test_a_job_that_may_have_one_worker_only_does_not_wait_for_another_node() -> None:
    world = starting("a", "b", nodes={"max": 1})
    hinder(world, NO_IMAGE, "a")
    wait(world)
    assert failed(world) == "ImagePullFailed"


def test_too_few_nodes_are_waited_for_where_one_of_them_has_no_image() -> None:
    world = starting("a", "b", nodes={"min": 3})
    hinder(world, NO_IMAGE, "a")
    wait(world, 10_000)
    assert not failed(world)


def test_where_the_rest_is_below_min_the_job_has_failed() -> None:
    world = starting("a", "b", "c", nodes={"min": 2})
    hinder(world, NO_IMAGE, "a", "b")
    wait(world)
    assert failed(world) == "ImagePullFailed"
    assert "1 nodes are left, spec.nodes.min is 2" in world.condition("Failed").message


def test_once_a_step_was_trained_no_image_is_missed_enough_to_end_the_job() -> None:
    world = trained("a")
    world.remove_pod("a")
    world.settle()
    wait(world, 20)
    hinder(world, NO_IMAGE, "a")
    wait(world, 10_000)
    assert not failed(world)
    assert world.stored.workers[worker_name("a")].hindrance is None


DEADLINE = {"runPolicy": {"startDeadlineSeconds": 600}}


@pytest.mark.parametrize(
    ("trouble", "words"),
    [
        (NO_ROOM, "PodUnschedulable: a: 0/3 nodes are available: 1 Insufficient cpu"),
        (NO_WAY, "ImagePullFailed: a: image registry.example/edgetrain:1 cannot be had"),
        (NO_SECRET, 'CreateContainerConfigError: a: trainer: secret "b" not found'),
        (None, "NotStarted: a: no container runs 600 s after the pod was made"),
    ],
)
def test_the_start_deadline_names_what_was_waited_for(trouble: ContainerTrouble | None, words: str) -> None:
    world = starting("a", **DEADLINE)
    hinder(world, trouble, "a")
    wait(world, 599)
    assert not failed(world)
    wait(world, 1)
    assert failed(world) == "StartDeadlineExceeded"
    message = world.condition("Failed").message
    assert message.startswith(f"no step was trained within runPolicy.startDeadlineSeconds (600): {words}")


def test_the_start_deadline_holds_where_there_is_no_node() -> None:
    world = starting(**DEADLINE)
    wait(world, 600)
    assert "NoMatchingNodes: no node carries the label" in world.condition("Failed").message


def test_the_start_deadline_holds_where_workers_come_and_none_trains() -> None:
    world = starting("a", "b", nodes={"min": 2}, **DEADLINE)
    world.pass_time(600)
    world.say("a", TrainerState.STARTING)
    world.say("b", TrainerState.WAITING)
    world.settle()
    assert failed(world) == "StartDeadlineExceeded"
    assert world.condition("Failed").message.endswith("1 of 2 workers were ready to train")


def test_the_start_deadline_is_kept_by_a_first_step() -> None:
    world = trained("a", **DEADLINE)
    wait(world, 100_000)
    assert not failed(world)


@pytest.mark.parametrize("nodes", ["a", "ab"])
@pytest.mark.parametrize("lost", ["report", "operator"])
def test_workers_that_may_train_unheard_are_not_ended_by_the_start_deadline(lost: str, nodes: str) -> None:
    """They were told to train, and nobody knows how far they are: dark, or not heard by a new leader yet."""
    world = starting(*nodes, **DEADLINE)
    for node in nodes:
        world.say(node)
    world.settle()
    world.pass_time(700)
    world.reports.clear()
    if lost == "operator":
        world.since = world.now - TAKE_OVER_SECONDS + 1
    world.settle()
    assert not failed(world)
    world.train(*nodes)
    world.settle()
    assert not failed(world)
    wait(world, 10_000)
    assert not failed(world)


def test_time_that_the_job_is_suspended_does_not_count_for_its_start() -> None:
    world = starting("a", **DEADLINE)
    world.spec |= {"suspend": True}
    world.settle()
    wait(world, 10_000)
    assert not failed(world)
    world.finish_deletions()
    world.spec |= {"suspend": False}
    world.settle()
    wait(world, 599)
    assert not failed(world)
    wait(world, 2)
    assert failed(world) == "StartDeadlineExceeded"


def test_a_job_that_has_gone_back_to_its_beginning_has_begun() -> None:
    world = trained("a", **DEADLINE)
    world.spec |= {"suspend": True}
    world.settle()
    world.remove_pod("a")
    world.spec |= {"suspend": False}
    world.settle()
    world.say("a")
    world.settle()
    assert (world.plan.generation, world.plan.origin) == (2, None)
    wait(world, 100_000)
    assert not failed(world)


def test_a_job_that_has_a_checkpoint_has_begun() -> None:
    world = trained("a", storage={"checkpoint": {"claim": {"size": "1Gi"}}}, **DEADLINE)
    world.say("a", checkpoints=(Checkpoint(lineage=1, step=10, digest="d"),))
    world.settle()
    world.spec |= {"suspend": True}
    world.settle()
    world.remove_pod("a")
    world.spec |= {"suspend": False}
    world.settle()
    wait(world, 100_000)
    assert not failed(world)


STATES = st.sampled_from(["no image", "no room", "ready", "away"])


@given(st.lists(STATES, min_size=1, max_size=5), st.integers(1, 4))
def test_a_job_never_ends_where_enough_nodes_may_still_start(states: list[str], least: int) -> None:
    nodes = {f"n{number}": state for number, state in enumerate(states)}
    world = World.of(*nodes, nodes={"min": least})
    for node, state in nodes.items():
        if state == "away":
            world.nodes[node] = replace(world.nodes[node], ready=False)
    world.settle()
    for node, state in nodes.items():
        if state == "ready":
            world.say(node)
        elif state != "away":
            world.change_pod(node, trouble=NO_IMAGE if state == "no image" else NO_ROOM)
    world.settle()
    wait(world, 10_000)
    able = sum(state in ("no room", "ready") for state in states)
    hindered = states.count("no image")
    if able >= least or not hindered:
        assert not failed(world)
    if hindered == len(states):
        assert failed(world) == "ImagePullFailed"
