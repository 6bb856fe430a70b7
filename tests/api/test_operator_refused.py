"""What a real API server refuses: which node or job is named, what goes on meanwhile, and that it ends."""

import json
import socket
import time
from collections.abc import Iterator
from typing import Any

import pytest

from edgetrain_protocol.report import TrainerState
from tests.support.apiserver import ApiServer
from tests.support.objects import drop_nodes, get, items, job, make_node, patch_status, program
from tests.support.refusing import (
    policy,
    quota,
    refuse_nothing,
    wait_for_deletions,
    wait_for_pods,
    webhook,
)
from tests.support.replicas import Replica, condition, pod_on, settle, with_replicas
from tests.support.scripted_fleet import ScriptedFleet

Json = dict[str, Any]
EXCLUDE_B = '{"spec":{"nodes":{"exclude":["edge-b"]}}}'
BACK_OFF = 61.0
"""Seconds after which whatever was refused is tried again."""


@pytest.fixture(autouse=True)
def _bare(api: ApiServer, namespace: str) -> Iterator[None]:
    drop_nodes(api)
    program(api, namespace, "main.py")
    yield
    drop_nodes(api)
    refuse_nothing(api, namespace)


def status(api: ApiServer, namespace: str) -> Json:
    found: Json = get(api, "etj", "digits", namespace)["status"]
    return found


def lines(api: ApiServer, namespace: str) -> dict[str, str]:
    return {line["node"]: line.get("message", "") for line in status(api, namespace)["nodes"]}


def nodes_with_pods(api: ApiServer, namespace: str) -> list[str]:
    return sorted(p["metadata"]["annotations"]["edgetrain.io/node"] for p in items(api, "pods", namespace))


def job_on_two_nodes(api: ApiServer, namespace: str) -> None:
    for node in ("edge-a", "edge-b"):
        make_node(api, node)
    api.apply(job(namespace))


def delete_pod(api: ApiServer, namespace: str, node: str) -> None:
    name = pod_on(api, namespace, node)["metadata"]["name"]
    api.kubectl("delete", "pod", name, "-n", namespace, "--grace-period=0", "--force")


@pytest.mark.parametrize("reason", ["Forbidden", "Invalid", "RequestEntityTooLarge"])
def test_a_policy_that_denies_is_told_by_any_code(api: ApiServer, namespace: str, reason: str) -> None:
    make_node(api, "edge-a")
    api.apply(job(namespace))
    policy(api, namespace, reason)
    wait_for_pods(api, namespace, refused=True)
    settle(api, ScriptedFleet(), namespace)
    found = condition(api, namespace, "Scheduled")
    assert (found["status"], found["reason"]) == ("False", "PodsRefused")
    assert "edge-a: its Pod is refused" in found["message"] and "label team" in found["message"]
    assert "meet what that policy asks for" in found["message"]


def test_a_webhook_that_is_down_freezes_no_status(api: ApiServer, namespace: str) -> None:
    """A job trains, one of its pods is gone, and no pod can be made. Then the webhook is removed."""
    job_on_two_nodes(api, namespace)
    fleet = ScriptedFleet()

    async def story(replica: Replica) -> None:
        await replica.settle(namespace)
        for pod in items(api, "pods", namespace):
            fleet.say(pod)
        await replica.settle(namespace)
        webhook(api, namespace)
        wait_for_pods(api, namespace, refused=True)
        delete_pod(api, namespace, "edge-b")
        await replica.settle(namespace, steps=2)
        degraded = condition(api, namespace, "Degraded")
        assert degraded["reason"] == "PodsRefused"
        assert "edge-b: its Pod is refused" in degraded["message"]
        assert "failed calling webhook" in degraded["message"] and "bring that webhook" in degraded["message"]
        assert "failed calling webhook" in lines(api, namespace)["edge-b"]
        events = [e["reason"] for e in items(api, "events", namespace) if e["type"] == "Warning"]
        assert "PodsRefused" in events

        fleet.say(pod_on(api, namespace, "edge-a"), TrainerState.TRAINING, step=77)
        await replica.settle(namespace, steps=1)
        assert condition(api, namespace, "Training")["status"] == "True"
        assert status(api, namespace)["progress"]["step"] == 77

        api.kubectl("delete", "validatingwebhookconfiguration", namespace)
        wait_for_pods(api, namespace, refused=False)
        replica.ahead = BACK_OFF
        await replica.settle(namespace, steps=1)
        assert nodes_with_pods(api, namespace) == ["edge-a", "edge-b"]
        assert "webhook" not in json.dumps(status(api, namespace))

    with_replicas(api, fleet, story)


def test_an_api_server_that_takes_nothing_is_told_as_such_and_no_node_blamed(
    api: ApiServer, namespace: str
) -> None:
    job_on_two_nodes(api, namespace)

    async def story(replica: Replica) -> None:
        replica.kube.busy = "pods"
        await replica.settle(namespace, steps=2)
        found = condition(api, namespace, "Scheduled")
        assert (found["status"], found["reason"]) == ("False", "ApiServerUnavailable")
        assert "too many requests" in found["message"]
        assert set(lines(api, namespace).values()) == {""}
        replica.kube.busy = ""
        await replica.settle(namespace, steps=1)
        assert nodes_with_pods(api, namespace) == [], "not before it has said"
        replica.ahead = 8.0
        await replica.settle(namespace, steps=2)
        assert nodes_with_pods(api, namespace) == ["edge-a", "edge-b"]
        assert "ApiServerUnavailable" not in json.dumps(status(api, namespace))

    with_replicas(api, ScriptedFleet(), story)


def test_webhooks_that_hang_hold_up_the_status_of_no_other_node(api: ApiServer, namespace: str) -> None:
    names = [f"edge-{letter}" for letter in "abcdefgh"]
    for node in names:
        make_node(api, node)
    api.apply(job(namespace))

    async def story(replica: Replica) -> None:
        await replica.look()
        with socket.create_server(("127.0.0.1", 0)) as silent:
            webhook(api, namespace, port=silent.getsockname()[1])
            wait_for_pods(api, namespace, refused=True)
            again = await replica.reconciler.reconcile((namespace, "digits"))
            assert again is not None and again < 1, "the others are tried at once, but after the status"
        assert "edge-a: its Pod is refused" in condition(api, namespace, "Degraded")["message"]
        assert len(lines(api, namespace)) == 8 and lines(api, namespace)["edge-h"] == ""

    with_replicas(api, ScriptedFleet(), story)


def test_one_node_that_is_refused_holds_up_no_other(api: ApiServer, namespace: str) -> None:
    """The others have the namespace's own limit: none of the operator's, which would be above its maximum."""
    for node, kind in (("edge-a", "small"), ("edge-b", "usual"), ("edge-c", "usual")):
        make_node(api, node, board=kind)
        give_memory(api, node)
    limits = {"type": "Container", "max": {"memory": "1Gi"}, "default": {"memory": "1Gi"}}
    meta = {"name": "limits", "namespace": namespace}
    api.apply({"apiVersion": "v1", "kind": "LimitRange", "metadata": meta, "spec": {"limits": [limits]}})
    small = {
        "selector": {"matchLabels": {"board": "small"}},
        "resources": {"limits": {"memory": "2Gi"}},
    }
    api.apply(job(namespace, nodes={"min": 2}, overrides=[small]))
    settle(api, ScriptedFleet(), namespace)
    assert nodes_with_pods(api, namespace) == ["edge-b", "edge-c"]
    assert condition(api, namespace, "Scheduled")["status"] == "True"
    degraded = condition(api, namespace, "Degraded")
    assert degraded["reason"] == "PodsRefused" and degraded["message"].startswith(
        "edge-a: its Pod is refused"
    )
    assert "maximum memory usage per Container is 1Gi" in lines(api, namespace)["edge-a"]
    assert {trainer_memory(api, namespace, node) for node in ("edge-b", "edge-c")} == {"1Gi"}


def test_where_the_namespace_says_nothing_of_memory_the_chart_does(api: ApiServer, namespace: str) -> None:
    make_node(api, "edge-a")
    give_memory(api, "edge-a")
    limits = {"type": "Container", "default": {"cpu": "2"}}
    meta = {"name": "limits", "namespace": namespace}
    api.apply({"apiVersion": "v1", "kind": "LimitRange", "metadata": meta, "spec": {"limits": [limits]}})
    api.apply(job(namespace))
    settle(api, ScriptedFleet(), namespace)
    assert trainer_memory(api, namespace, "edge-a") == "13107Mi"


def give_memory(api: ApiServer, node: str) -> None:
    """As a kubelet reports what its node has for pods."""
    memory = {"memory": "16Gi"}
    patch_status(api, "node", node, "", {"status": {"capacity": memory, "allocatable": memory}})


def trainer_memory(api: ApiServer, namespace: str, node: str) -> str:
    """The limit of its container."""
    (trainer,) = [c for c in pod_on(api, namespace, node)["spec"]["containers"] if c["name"] == "trainer"]
    return str(trainer["resources"]["limits"]["memory"])


def test_a_replacement_waits_for_no_other_nodes_back_off(api: ApiServer, namespace: str) -> None:
    for node in ("edge-a", "edge-b", "edge-c"):
        make_node(api, node)
    api.apply(job(namespace, nodes={"min": 2}))
    fleet = ScriptedFleet()

    async def story(replica: Replica) -> None:
        quota(api, namespace, {"pods": "2"}, {"pods": "0"})
        await replica.settle(namespace)
        assert nodes_with_pods(api, namespace) == ["edge-a", "edge-b"]
        assert "exceeded quota" in lines(api, namespace)["edge-c"]
        delete_pod(api, namespace, "edge-b")
        quota(api, namespace, {"pods": "2"}, {"pods": "1"})
        await replica.settle(namespace, steps=1)
        assert nodes_with_pods(api, namespace) == ["edge-a", "edge-b"]

    with_replicas(api, fleet, story)


def test_claims_that_fill_their_own_quota_hinder_no_replacement(api: ApiServer, namespace: str) -> None:
    make_node(api, "edge-a")
    api.apply(job(namespace, storage={"checkpoint": {"claim": {"size": "1Gi"}}}))
    fleet = ScriptedFleet()
    settle(api, fleet, namespace)
    full = {"persistentvolumeclaims": "1"}
    quota(api, namespace, full, full)
    delete_pod(api, namespace, "edge-a")
    settle(api, fleet, namespace)
    assert nodes_with_pods(api, namespace) == ["edge-a"]
    assert condition(api, namespace, "Scheduled")["status"] == "True"


def test_an_identity_that_is_refused_is_told_of_and_made_when_it_may_be(
    api: ApiServer, namespace: str
) -> None:
    job_on_two_nodes(api, namespace)

    async def story(replica: Replica) -> None:
        quota(api, namespace, {"secrets": "0"}, {"secrets": "0"})
        await replica.settle(namespace)
        assert nodes_with_pods(api, namespace) == ["edge-a"], "more would wait for theirs as well"
        scheduled = condition(api, namespace, "Scheduled")
        assert (scheduled["status"], scheduled["reason"]) == ("False", "PodsRefused")
        assert "its Secret is refused" in scheduled["message"] and "exceeded quota" in scheduled["message"]
        quota(api, namespace, {"secrets": "9"}, {"secrets": "0"})
        replica.ahead = BACK_OFF
        await replica.settle(namespace)
        assert nodes_with_pods(api, namespace) == ["edge-a", "edge-b"]
        owners = [o["metadata"]["ownerReferences"][0]["uid"] for o in items(api, "secrets", namespace)]
        assert sorted(owners) == sorted(pod["metadata"]["uid"] for pod in items(api, "pods", namespace))
        assert condition(api, namespace, "Scheduled")["status"] == "True"

    with_replicas(api, ScriptedFleet(), story)


def test_a_plan_that_cannot_be_written_is_not_served_and_the_status_goes_on(
    api: ApiServer, namespace: str
) -> None:
    job_on_two_nodes(api, namespace)
    fleet = ScriptedFleet()

    async def story(replica: Replica) -> None:
        await replica.settle(namespace)
        for pod in items(api, "pods", namespace):
            fleet.say(pod)
        await replica.settle(namespace)
        before, served = status(api, namespace), {uid: list(p) for uid, p in fleet.plans.items()}
        webhook(api, namespace, operations=["CREATE", "UPDATE"], resources=["configmaps"])
        api.kubectl("patch", "etj", "digits", "-n", namespace, "--type=merge", "-p", EXCLUDE_B)
        for step in (5, 6):
            for pod in items(api, "pods", namespace):
                fleet.say(pod, TrainerState.TRAINING, step=step)
            await replica.settle(namespace, steps=3)
            now = status(api, namespace)
            assert condition(api, namespace, "Scheduled")["reason"] == "PlanRefused"
            assert condition(api, namespace, "Training")["status"] == "True"
            assert (now["plan"], fleet.plans) == (before["plan"], served)
            assert nodes_with_pods(api, namespace) == ["edge-a", "edge-b"], "the plan comes first"
        api.kubectl("delete", "validatingwebhookconfiguration", namespace)
        await wait_for_plan(replica, api, namespace, before["plan"]["revision"] + 1)
        assert condition(api, namespace, "Scheduled")["status"] == "True"
        assert nodes_with_pods(api, namespace) == ["edge-a"]

    with_replicas(api, fleet, story)


async def wait_for_plan(replica: Replica, api: ApiServer, namespace: str, revision: int) -> None:
    limit = time.monotonic() + 30
    while status(api, namespace)["plan"]["revision"] != revision:
        assert time.monotonic() < limit, status(api, namespace)
        await replica.settle(namespace, steps=1)


def test_a_deletion_that_is_refused_is_told(api: ApiServer, namespace: str) -> None:
    job_on_two_nodes(api, namespace)
    fleet = ScriptedFleet()

    async def story(replica: Replica) -> None:
        await replica.settle(namespace)
        pod = pod_on(api, namespace, "edge-b")
        webhook(api, namespace, operations=["DELETE"])
        wait_for_deletions(api, namespace, pod["metadata"]["name"])
        api.kubectl("patch", "etj", "digits", "-n", namespace, "--type=merge", "-p", EXCLUDE_B)
        await replica.settle(namespace)
        degraded = condition(api, namespace, "Degraded")
        assert degraded["reason"] == "DeletionRefused" and pod["metadata"]["name"] in degraded["message"]
        api.kubectl("delete", "validatingwebhookconfiguration", namespace)
        replica.ahead = BACK_OFF
        limit = time.monotonic() + 30
        while nodes_with_pods(api, namespace) != ["edge-a"]:
            assert time.monotonic() < limit
            await replica.settle(namespace, steps=1)
            replica.ahead += BACK_OFF
        await replica.settle(namespace, steps=1)
        assert "DeletionRefused" not in json.dumps(status(api, namespace)["conditions"])

    with_replicas(api, fleet, story)
