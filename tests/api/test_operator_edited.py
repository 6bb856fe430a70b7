"""What people edit or delete under a running job is mended, and told of, on a real API server."""

import base64
import json
from collections.abc import Iterator
from typing import Any

import pytest

from edgetrain_operator.core.naming import worker_name
from edgetrain_operator.runtime import mounts
from tests.support.apiserver import ApiServer
from tests.support.objects import get, items, job, nodes_and_program
from tests.support.replicas import Replica, settle, with_replicas
from tests.support.scripted_fleet import ScriptedFleet

NODES = ("edge-a", "edge-b")


@pytest.fixture(autouse=True)
def _nodes(api: ApiServer, namespace: str) -> Iterator[None]:
    with nodes_and_program(api, namespace, *NODES):
        yield


def component(api: ApiServer, namespace: str, kind: str, name: str) -> dict[str, Any]:
    (found,) = [
        o
        for o in items(api, kind, namespace)
        if o["metadata"].get("labels", {}).get("edgetrain.io/component") == name
    ]
    return found


def members(api: ApiServer, namespace: str) -> list[str]:
    plan = json.loads(component(api, namespace, "configmaps", "plan")["data"]["plan.json"])["plan"]
    return sorted(member["node"] for member in plan["groups"][0]["group"]["members"])


def edit(api: ApiServer, namespace: str, found: dict[str, Any], patch: object) -> None:
    name = found["metadata"]["name"]
    api.kubectl("patch", "configmap", name, "-n", namespace, "--type=json", "-p", json.dumps(patch))


def planned(api: ApiServer, namespace: str, fleet: ScriptedFleet) -> dict[str, Any]:
    """A job of which both workers are members; its plan's ConfigMap."""
    api.apply(job(namespace))
    settle(api, fleet, namespace)
    for pod in items(api, "pods", namespace):
        fleet.say(pod)
    settle(api, fleet, namespace)
    assert members(api, namespace) == list(NODES)
    return component(api, namespace, "configmaps", "plan")


def told(api: ApiServer, namespace: str, reason: str) -> list[str]:
    return [event["message"] for event in items(api, "events", namespace) if event["reason"] == reason]


@pytest.mark.parametrize(
    ("path", "says"),
    [
        pytest.param("/data", "had lost its key plan.json", marks=pytest.mark.attack(14)),
        pytest.param("/data/plan.json", "had lost its key plan.json", marks=pytest.mark.attack(14)),
        pytest.param("/metadata/ownerReferences", "had lost its owner", marks=pytest.mark.attack(15)),
    ],
)
def test_what_is_taken_off_a_plan_is_put_back(api: ApiServer, namespace: str, path: str, says: str) -> None:
    fleet = ScriptedFleet()
    before = planned(api, namespace, fleet)
    edit(api, namespace, before, [{"op": "remove", "path": path}])
    settle(api, fleet, namespace)
    after = component(api, namespace, "configmaps", "plan")
    assert after["metadata"]["ownerReferences"] == before["metadata"]["ownerReferences"]
    assert members(api, namespace) == list(NODES)
    assert len(items(api, "pods", namespace)) == len(NODES)
    assert [says in message for message in told(api, namespace, "PlanMended")] == [True]


def test_a_plan_that_another_controls_is_left_alone(api: ApiServer, namespace: str) -> None:
    fleet = ScriptedFleet()
    held = planned(api, namespace, fleet)
    foreign = {**held["metadata"]["ownerReferences"][0], "uid": "somebody-else", "name": "another"}
    edit(api, namespace, held, [{"op": "replace", "path": "/metadata/ownerReferences", "value": [foreign]}])
    settle(api, fleet, namespace)
    after = component(api, namespace, "configmaps", "plan")
    assert after["metadata"]["ownerReferences"] == [foreign]
    assert after["data"] == held["data"]


@pytest.mark.attack(16)
def test_what_pods_that_wait_mount_is_made_again(
    api: ApiServer, namespace: str, monkeypatch: pytest.MonkeyPatch
) -> None:
    monkeypatch.setattr(mounts, "LOOK_SECONDS", 0.0)
    api.apply(job(namespace))

    async def story(replica: Replica) -> None:
        await replica.settle(namespace)
        ca = component(api, namespace, "cm", "ca")
        tokens = {uid: mounted_token(api, namespace, pod) for uid, pod in pods_by_uid(api, namespace).items()}
        api.kubectl("delete", "configmap", ca["metadata"]["name"], "-n", namespace)
        api.kubectl("delete", "secret", "--all", "-n", namespace)
        await replica.settle(namespace)
        assert component(api, namespace, "cm", "ca")["data"] == ca["data"]
        made = pods_by_uid(api, namespace)
        assert {uid: mounted_token(api, namespace, pod) for uid, pod in made.items()} == tokens

    with_replicas(api, ScriptedFleet(), story)


@pytest.mark.attack(13)
def test_each_pod_mounts_an_identity_of_its_own_that_goes_with_it(api: ApiServer, namespace: str) -> None:
    api.apply(job(namespace))
    settle(api, ScriptedFleet(), namespace)
    before = {uid: mounted_token(api, namespace, pod) for uid, pod in pods_by_uid(api, namespace).items()}
    api.kubectl("delete", "pod", "--all", "-n", namespace, "--grace-period=0", "--force")
    after = ScriptedFleet(key="made-when-the-keyring-was-lost")
    settle(api, after, namespace)
    (job_uid,) = (o["metadata"]["uid"] for o in items(api, "edgetrainingjobs", namespace))
    made = pods_by_uid(api, namespace)
    assert made and not before.keys() & made.keys()
    for uid, pod in made.items():
        name = worker_name(pod["metadata"]["annotations"]["edgetrain.io/node"])
        assert mounted_token(api, namespace, pod) == after.identity(job_uid, name, uid)["token"]


def pods_by_uid(api: ApiServer, namespace: str) -> dict[str, dict[str, Any]]:
    return {pod["metadata"]["uid"]: pod for pod in items(api, "pods", namespace)}


def mounted_token(api: ApiServer, namespace: str, pod: dict[str, Any]) -> str:
    """Out of a Secret that goes with the pod."""
    (name,) = (v["secret"]["secretName"] for v in pod["spec"]["volumes"] if v["name"] == "identity")
    secret = get(api, "secret", name, namespace)
    (owner,) = secret["metadata"]["ownerReferences"]
    assert (owner["kind"], owner["uid"]) == ("Pod", pod["metadata"]["uid"])
    return base64.b64decode(secret["data"]["token"]).decode()
