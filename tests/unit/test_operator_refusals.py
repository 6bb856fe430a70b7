"""What the API server will not take: whose fault it is, whom it holds up, and what is said."""

import json
from collections.abc import Iterable

import pytest

from edgetrain_operator.core.actions import Create, DeletePod
from edgetrain_operator.core.model import IDENTITY, PLAN, SERVER, Refusal, Subject
from edgetrain_operator.core.refusals import told
from edgetrain_operator.kube.errors import AlreadyExists, Conflict, KubeError, NotFound, Refused, from_status
from tests.support.world import World, trained

HOOK = 'Internal error occurred: failed calling webhook "policy.example.com": failed to call webhook: Post'
DENIED = 'admission webhook "policy.example.com" denied the request: not on Sundays'
POLICY = "ValidatingAdmissionPolicy 'p' with binding 'b' denied request: every pod needs a label team"

ANSWERS = [
    (403, "Forbidden", 'pods "x" is forbidden: exceeded quota: q', Refused),
    (400, "BadRequest", "a field is bad", Refused),
    (413, "RequestEntityTooLarge", POLICY, Refused),
    (422, "Invalid", "a field is bad", Refused),
    (500, "InternalError", HOOK, Refused),
    (504, "Timeout", "request did not complete within requested timeout", Refused),
    # Who denies chooses the code, and may choose one that means something else of the API server itself.
    (401, "Unauthorized", POLICY, Refused),
    (404, "NotFound", DENIED, Refused),
    (409, "AlreadyExists", DENIED, Refused),
    (429, "TooManyRequests", DENIED, Refused),
    (503, "ServiceUnavailable", DENIED, Refused),
    (401, "Unauthorized", "Unauthorized", KubeError),
    (429, "TooManyRequests", "too many requests, please try again later", KubeError),
    (503, "ServiceUnavailable", "apiserver is shutting down", KubeError),
    (404, "NotFound", 'pods "x" not found', NotFound),
    (409, "Conflict", "the object has been modified", Conflict),
    (409, "AlreadyExists", 'pods "x" already exists', AlreadyExists),
]


@pytest.mark.parametrize(("status", "reason", "message", "kind"), ANSWERS)
def test_an_answer_is_about_the_object_or_about_the_server(
    status: int, reason: str, message: str, kind: type[KubeError]
) -> None:
    body = json.dumps({"kind": "Status", "reason": reason, "message": message}).encode()
    error = from_status(status, body, "POST /pods", "7")
    assert type(error) is kind
    assert (error.said, error.retry_after) == (message, 7.0)


MENDS = [
    (HOOK, "bring that webhook's service back"),
    (DENIED, "meet what that webhook asks for"),
    (POLICY, "meet what that policy asks for"),
    ("exceeded quota: q, requested: pods=1, used: pods=2, limited: pods=2", "raise that ResourceQuota"),
    ("maximum memory usage per Container is 1Gi, but limit is 2Gi", "change that LimitRange"),
    ("violates PodSecurity", "a namespace that allows it"),
    ("no", "mend the job or what refuses it"),
]


@pytest.mark.parametrize(("said", "mend"), MENDS)
def test_a_refusal_says_what_to_mend(said: str, mend: str) -> None:
    message = told("its Pod", said)
    assert message.startswith(f"its Pod is refused: {said[:60]}") and mend in message
    assert len(told("its Pod", said * 1000)) < 700


def refuse(world: World, *subjects: Subject, seconds: float = 10) -> None:
    world.refusals |= {s: Refusal("PodsRefused", f"no {s.name}", world.now + seconds) for s in subjects}


def made(actions: Iterable[object]) -> set[str]:
    """Nodes that get a pod."""
    pods = [a for a in actions if isinstance(a, Create) and a.kind == "Pod"]
    return {a.subject.name for a in pods}


def test_a_refused_node_holds_up_no_other_and_is_named() -> None:
    world = World.of("a", "b", "c", nodes={"min": 2})
    refuse(world, Subject("node", "b"))
    assert made(world.step().actions) == {"a", "c"}
    world.settle()
    assert world.condition("Scheduled").status == "True", "there are enough without it"
    degraded = world.condition("Degraded")
    assert (degraded.status, degraded.reason, degraded.message) == ("True", "PodsRefused", "b: no b")
    assert {line.node: line.message for line in world.status.nodes}["b"] == "b: no b"
    assert world.lines()["b"] == "Pending"


def test_refused_nodes_that_leave_too_few_are_why_nothing_is_scheduled() -> None:
    world = World.of("a", "b", "c", nodes={"min": 2})
    refuse(world, Subject("node", "b"), Subject("node", "c"))
    world.settle()
    scheduled = world.condition("Scheduled")
    assert (scheduled.status, scheduled.reason) == ("False", "PodsRefused")
    assert scheduled.message == "b: no b (and 1 more: c)"
    assert world.condition("Training").reason == "PodsRefused"


def test_one_refused_node_is_not_why_the_others_do_not_train_yet() -> None:
    world = World.of("a", "b", "c", nodes={"min": 2})
    refuse(world, Subject("node", "c"))
    world.settle()
    assert world.condition("Training").reason == "Starting"
    assert world.condition("Degraded").reason == "PodsRefused"


def test_a_node_waits_for_its_own_back_off_alone() -> None:
    world = trained("a", "b")
    refuse(world, Subject("node", "a"), seconds=100)
    world.remove_pod("b")
    assert made(world.step().actions) == {"b"}, "its replacement does not wait for a"
    world.remove_pod("a")
    decision = world.settle()
    assert made(decision.actions) == set()
    world.pass_time(101)
    assert made(world.step().actions) == {"a"}


def test_a_refusal_of_a_node_that_has_its_pod_is_not_told() -> None:
    world = trained("a", "b")
    refuse(world, Subject("node", "b"))
    world.settle()
    assert world.condition("Degraded").status == "False"


@pytest.mark.parametrize("subject", [IDENTITY, SERVER])
def test_what_all_pods_need_holds_up_all_and_is_the_jobs(subject: Subject) -> None:
    world = World.of("a", "b")
    refuse(world, subject)
    world.settle()
    assert not world.pods
    assert world.condition("Scheduled").message == f"no {subject.name}"
    world.refusals.clear()
    world.settle()
    assert len(world.pods) == 2 and world.condition("Scheduled").status == "True"


def test_a_deletion_that_is_refused_is_told_and_tried_again_later() -> None:
    world = trained("a", "b")
    world.spec = {"nodes": {"exclude": ["b"]}}
    pod = world.pod("b")
    refuse(world, Subject("pod", pod.name))
    decision = world.settle()
    assert not any(isinstance(action, DeletePod) for action in decision.actions)
    assert world.members == ["a"] and world.condition("Degraded").message == f"no {pod.name}"
    world.pass_time(11)
    world.step()
    assert world.pod("b").deleting


def test_a_plan_that_cannot_be_written_is_told_on_the_job() -> None:
    world = trained("a", "b")
    refuse(world, PLAN)
    world.settle()
    assert world.condition("Scheduled").message == "no plan"
    assert world.condition("Training").status == "True"
