"""The reconcile on a real API server, with crashes, races and lost events put in by hand."""

import asyncio
import json
from collections.abc import Iterator
from typing import Any

import pytest

from edgetrain_operator.kube.errors import Conflict, KubeError
from edgetrain_operator.kube.resources import NODES, Resource
from edgetrain_protocol.names import EDGE_NODE_LABEL
from edgetrain_protocol.report import TrainerState
from tests.support.apiserver import ApiServer
from tests.support.objects import drop_nodes, get, items, job, make_node, patch_status, program, set_ready
from tests.support.replicas import DEFAULTS, Crash, Replica, condition, pod_on, settle, with_replicas
from tests.support.scripted_fleet import ScriptedFleet


@pytest.fixture(autouse=True)
def _no_nodes(api: ApiServer, namespace: str) -> Iterator[None]:
    drop_nodes(api)
    program(api, namespace, "main.py")
    yield
    drop_nodes(api)


def shape(api: ApiServer, namespace: str) -> dict[str, list[str]]:
    """What there is, apart from what differs between any two runs."""
    kinds = ("pods", "secrets", "configmaps", "persistentvolumeclaims")
    found = {kind: items(api, kind, namespace) for kind in kinds}
    return {
        kind: sorted(
            f"{o['metadata']['labels']['edgetrain.io/component']} "
            f"{o['metadata'].get('annotations', {}).get('edgetrain.io/node', '')} "
            f"{o['metadata']['labels'].get('edgetrain.io/attempt', '')}"
            for o in objects
            if "edgetrain.io/component" in o["metadata"].get("labels", {})
        )
        for kind, objects in found.items()
    }


def stored(api: ApiServer, namespace: str) -> dict[str, Any]:
    """The plan's document."""
    (found,) = [c for c in items(api, "configmaps", namespace) if "plan.json" in c.get("data", {})]
    document: dict[str, Any] = json.loads(found["data"]["plan.json"])
    return document


CLAIM = {"checkpoint": {"claim": {"size": "1Gi"}}}
WHOLE = {
    "pods": ["worker edge-a 1", "worker edge-b 1"],
    "secrets": ["identity  ", "identity  "],
    "configmaps": ["ca  ", "plan  "],
    "persistentvolumeclaims": ["checkpoint edge-a ", "checkpoint edge-b "],
}


def test_children_of_a_job_in_a_restricted_namespace(api: ApiServer, namespace: str) -> None:
    make_node(api, "edge-a")
    make_node(api, "edge-b")
    api.apply(job(namespace, storage=CLAIM))
    settle(api, ScriptedFleet(), namespace)
    assert shape(api, namespace) == WHOLE
    assert condition(api, namespace, "Scheduled")["status"] == "True"


def test_a_part_of_the_nodes_memory_is_a_limit_and_no_request(api: ApiServer, namespace: str) -> None:
    make_node(api, "edge-a")
    patch_status(api, "node", "edge-a", "", {"status": {"allocatable": {"memory": "4194304Ki"}}})
    api.apply(job(namespace))
    settle(api, ScriptedFleet(), namespace)
    resources = pod_on(api, namespace, "edge-a")["spec"]["containers"][0]["resources"]
    assert resources == {"limits": {"memory": "3276Mi"}, "requests": {"memory": "0"}}


def test_each_class_of_nodes_gets_its_own_pods(api: ApiServer, namespace: str) -> None:
    make_node(api, "edge-a", board="usual")
    make_node(api, "edge-b", board="small")
    resources = {"requests": {"cpu": "250m", "memory": "1Gi"}, "limits": {"memory": "1Gi"}}
    small = {"image": "small:1", "env": [{"name": "TURN", "value": "small"}], "resources": resources}
    api.apply(job(namespace, overrides=[{"selector": {"matchLabels": {"board": "small"}}, **small}]))
    settle(api, ScriptedFleet(), namespace)
    trainers = {n: pod_on(api, namespace, n)["spec"]["containers"][0] for n in ("edge-a", "edge-b")}
    assert {n: t["image"] for n, t in trainers.items()} == {
        "edge-a": DEFAULTS.trainer_image,
        "edge-b": "small:1",
    }
    assert {"name": "TURN", "value": "small"} in trainers["edge-b"]["env"]
    assert trainers["edge-b"]["resources"] == resources
    assert not any(e["name"] == "TURN" for e in trainers["edge-a"]["env"])


@pytest.mark.parametrize("writes", range(9))
def test_a_crash_after_any_write_leads_to_the_same_end(api: ApiServer, namespace: str, writes: int) -> None:
    make_node(api, "edge-a")
    make_node(api, "edge-b")
    api.apply(job(namespace, storage=CLAIM))
    fleet = ScriptedFleet()

    async def until_crash(replica: Replica) -> None:
        replica.kube.writes_left = writes
        with pytest.raises(Crash):
            await replica.settle(namespace)

    with_replicas(api, fleet, until_crash)
    settle(api, fleet, namespace)
    assert shape(api, namespace) == WHOLE
    assert condition(api, namespace, "Scheduled")["status"] == "True"


def test_two_operators_at_once_make_nothing_twice(api: ApiServer, namespace: str) -> None:
    for node in ("edge-a", "edge-b"):
        make_node(api, node)
    api.apply(job(namespace, storage=CLAIM))
    fleet = ScriptedFleet()

    async def both(replica: Replica) -> None:
        await replica.settle(namespace)

    with_replicas(api, fleet, both, both, both)
    assert shape(api, namespace) == WHOLE
    for pod in items(api, "pods", namespace):
        fleet.say(pod)
    with_replicas(api, fleet, both, both, both)
    uid = items(api, "pods", namespace)[0]["metadata"]["labels"]["edgetrain.io/job-uid"]
    by_revision = {(p.lineage, p.revision): p for p in fleet.plans[uid]}
    assert all(by_revision[(p.lineage, p.revision)] == p for p in fleet.plans[uid]), (
        "two plans of one revision"
    )
    assert len(stored(api, namespace)["plan"]["groups"][0]["group"]["members"]) == 2


def test_a_plan_is_not_written_over_one_that_was_not_read(api: ApiServer, namespace: str) -> None:
    make_node(api, "edge-a")
    api.apply(job(namespace))
    fleet = ScriptedFleet()
    settle(api, fleet, namespace)
    fleet.say(pod_on(api, namespace, "edge-a"))

    async def stale(replica: Replica) -> None:
        """Between its reading and its writing, another writes."""
        await replica.look()
        plain = replica.kube.replace

        async def late(resource: Resource, body: dict[str, Any]) -> dict[str, Any]:
            name = body["metadata"]["name"]
            await asyncio.to_thread(
                api.kubectl, "annotate", "configmap", name, "-n", namespace, "someone=else", "--overwrite"
            )
            return await plain(resource, body)

        replica.kube.replace = late  # type: ignore[method-assign]
        with pytest.raises(Conflict):
            await replica.reconciler.reconcile((namespace, "digits"))

    with_replicas(api, fleet, stale)
    assert fleet.plans == {}, "served before it was written"
    settle(api, fleet, namespace)
    assert stored(api, namespace)["plan"]["revision"] == 1


def test_a_status_is_not_written_over_one_that_was_not_read(api: ApiServer, namespace: str) -> None:
    """An operator that was overtaken while it looked would take back that the job is over."""
    make_node(api, "edge-a")
    api.apply(job(namespace))
    over = {"type": "Complete", "status": "True", "reason": "Finished", "message": ""}
    said = {"conditions": [{**over, "lastTransitionTime": "2026-01-01T00:00:00Z"}]}

    async def overtaken(replica: Replica) -> None:
        await replica.look()
        plain = replica.kube.apply

        async def late(resource: Resource, body: dict[str, Any], subresource: str = "") -> dict[str, Any]:
            if subresource:
                await asyncio.to_thread(patch_status, api, "etj", "digits", namespace, {"status": said})
            return await plain(resource, body, subresource)

        replica.kube.apply = late  # type: ignore[method-assign]
        with pytest.raises(Conflict):
            await replica.reconciler.reconcile((namespace, "digits"))

    with_replicas(api, ScriptedFleet(), overtaken)
    assert get(api, "etj", "digits", namespace)["status"] == said


def test_a_job_made_anew_under_its_name_starts_anew(api: ApiServer, namespace: str) -> None:
    """While the old pod cannot end, because its node is dark, and its plan is still there."""
    make_node(api, "edge-a")
    api.apply(job(namespace))
    fleet = ScriptedFleet()
    settle(api, fleet, namespace)
    old = pod_on(api, namespace, "edge-a")
    fleet.say(old, revision_held=57)
    settle(api, fleet, namespace)
    assert stored(api, namespace)["plan"]["revision"] == 58
    api.kubectl("delete", "etj", "digits", "-n", namespace)
    api.apply(job(namespace))
    settle(api, fleet, namespace)
    uid = get(api, "etj", "digits", namespace)["metadata"]["uid"]
    mine = [
        p
        for p in items(api, "pods", namespace)
        if p["metadata"]["ownerReferences"][0:1] and p["metadata"]["ownerReferences"][0]["uid"] == uid
    ]
    (new,) = mine
    assert new["metadata"]["name"] != old["metadata"]["name"]
    fleet.say(new)
    settle(api, fleet, namespace)
    assert [plan.revision for plan in fleet.plans[uid]] == [1]


def test_a_deletion_that_no_event_told_of_is_noticed(api: ApiServer, namespace: str) -> None:
    make_node(api, "edge-a")
    api.apply(job(namespace))
    fleet = ScriptedFleet()

    async def story(replica: Replica) -> None:
        await replica.settle(namespace)
        old = pod_on(api, namespace, "edge-a")
        fleet.say(old)
        api.kubectl("delete", "pod", old["metadata"]["name"], "-n", namespace, "--grace-period=0", "--force")
        await replica.settle(namespace)
        new = pod_on(api, namespace, "edge-a")
        assert new["metadata"]["labels"]["edgetrain.io/attempt"] == "2"
        assert fleet.over == {old["metadata"]["uid"]}
        uid = get(api, "etj", "digits", namespace)["metadata"]["uid"]
        api.kubectl("delete", "etj", "digits", "-n", namespace)
        await replica.settle(namespace)
        assert uid in fleet.forgotten

    with_replicas(api, fleet, story)


def test_a_pod_of_our_name_that_is_somebody_elses_is_left_alone(api: ApiServer, namespace: str) -> None:
    make_node(api, "edge-a")
    api.apply(job(namespace))
    fleet = ScriptedFleet()

    async def story(replica: Replica) -> None:
        replica.kube.writes_left = 2  # up to the plan and the CA, so that the pod is not made yet
        with pytest.raises(Crash):
            await replica.settle(namespace)

    with_replicas(api, fleet, story)
    settle(api, fleet, namespace)
    first = pod_on(api, namespace, "edge-a")
    name = first["metadata"]["name"]
    api.kubectl("delete", "pod", name, "-n", namespace, "--grace-period=0", "--force")
    api.kubectl("delete", "configmap", "--all", "-n", namespace)
    foreign = {
        "apiVersion": "v1",
        "kind": "Pod",
        "metadata": {"name": name, "namespace": namespace},
        "spec": {
            "securityContext": {
                "runAsNonRoot": True,
                "runAsUser": 1,
                "seccompProfile": {"type": "RuntimeDefault"},
            },
            "containers": [
                {
                    "name": "c",
                    "image": "i",
                    "securityContext": {"allowPrivilegeEscalation": False, "capabilities": {"drop": ["ALL"]}},
                }
            ],
        },
    }
    api.apply(foreign)
    settle(api, fleet, namespace)
    ours = [p for p in items(api, "pods", namespace) if "ownerReferences" in p["metadata"]]
    assert [p["metadata"]["labels"]["edgetrain.io/attempt"] for p in ours] == ["2"]


def test_pods_that_are_refused_are_said_on_the_job_and_made_once_they_may(
    api: ApiServer, namespace: str
) -> None:
    make_node(api, "edge-a")
    host_path = {"data": {"volume": {"hostPath": {"path": "/data"}}}}
    api.apply(job(namespace, storage=host_path))
    fleet = ScriptedFleet()
    settle(api, fleet, namespace)
    scheduled = condition(api, namespace, "Scheduled")
    assert (scheduled["status"], scheduled["reason"]) == ("False", "PodsRefused")
    assert "restricted" in scheduled["message"] and "hostPath" in scheduled["message"]
    api.kubectl("label", "ns", namespace, "pod-security.kubernetes.io/enforce=privileged", "--overwrite")
    settle(api, fleet, namespace)
    assert len(items(api, "pods", namespace)) == 1
    assert condition(api, namespace, "Scheduled")["status"] == "True"


def test_a_missing_program_is_said_on_the_job(api: ApiServer, namespace: str) -> None:
    make_node(api, "edge-a")
    api.apply(job(namespace))
    fleet = ScriptedFleet()
    api.kubectl("delete", "configmap", "program", "-n", namespace)
    settle(api, fleet, namespace)
    scheduled = condition(api, namespace, "Scheduled")
    assert (scheduled["status"], scheduled["reason"]) == ("False", "ProgramMissing")
    assert "ConfigMap program is not in namespace" in scheduled["message"]
    program(api, namespace, "other.py")
    settle(api, fleet, namespace)
    assert "no key main.py" in condition(api, namespace, "Scheduled")["message"]
    program(api, namespace, "main.py")
    settle(api, fleet, namespace)
    assert condition(api, namespace, "Scheduled")["status"] == "True"


def test_a_node_that_changed_since_it_was_listed_gets_no_pod(api: ApiServer, namespace: str) -> None:
    make_node(api, "edge-a")
    api.apply(job(namespace))

    async def story(replica: Replica) -> None:
        await replica.look()
        set_ready(api, "edge-a", ready=False)
        await replica.reconciler.reconcile((namespace, "digits"))

    with_replicas(api, ScriptedFleet(), story)
    assert items(api, "pods", namespace) == []


def test_a_node_that_is_excluded_loses_its_worker_after_the_plan_says_so(
    api: ApiServer, namespace: str
) -> None:
    for node in ("edge-a", "edge-b"):
        make_node(api, node)
    api.apply(job(namespace))
    fleet = ScriptedFleet()
    settle(api, fleet, namespace)
    for pod in items(api, "pods", namespace):
        fleet.say(pod)
    settle(api, fleet, namespace)
    api.kubectl(
        "patch",
        "etj",
        "digits",
        "-n",
        namespace,
        "--type=merge",
        "-p",
        '{"spec":{"nodes":{"exclude":["edge-b"]}}}',
    )
    settle(api, fleet, namespace)
    assert [m["node"] for m in stored(api, namespace)["plan"]["groups"][0]["group"]["members"]] == ["edge-a"]
    assert [p["metadata"]["annotations"]["edgetrain.io/node"] for p in items(api, "pods", namespace)] == [
        "edge-a"
    ]


def test_a_new_ca_reaches_the_workers(api: ApiServer, namespace: str) -> None:
    make_node(api, "edge-a")
    api.apply(job(namespace))
    fleet = ScriptedFleet()
    settle(api, fleet, namespace)
    fleet.bundle = "old and new"
    settle(api, fleet, namespace)
    (found,) = [c for c in items(api, "configmaps", namespace) if "ca.crt" in c.get("data", {})]
    assert found["data"]["ca.crt"] == "old and new"


def test_a_job_of_another_controller_is_left_alone(api: ApiServer, namespace: str) -> None:
    make_node(api, "edge-a")
    policy = {"ttlSecondsAfterFinished": 0, "startDeadlineSeconds": 1}
    api.apply(job(namespace, managedBy="kueue.x-k8s.io/multikueue", runPolicy=policy))
    settle(api, ScriptedFleet(), namespace)
    assert items(api, "pods", namespace) == []
    assert "status" not in get(api, "etj", "digits", namespace)
    ended = {"lastTransitionTime": "2026-01-01T00:00:00Z", "reason": "Finished", "message": ""}
    theirs = {"conditions": [{"type": "Complete", "status": "True", **ended}]}
    patch_status(api, "etj", "digits", namespace, {"status": theirs})
    settle(api, ScriptedFleet(), namespace)
    assert get(api, "etj", "digits", namespace)["status"] == theirs
    assert [c["metadata"]["name"] for c in items(api, "configmaps", namespace)] == ["program"]


def test_a_finished_job_is_complete_and_deleted_after_its_time(api: ApiServer, namespace: str) -> None:
    make_node(api, "edge-a")
    api.apply(job(namespace, runPolicy={"ttlSecondsAfterFinished": 0}))
    fleet = ScriptedFleet()
    settle(api, fleet, namespace)
    pod = pod_on(api, namespace, "edge-a")
    fleet.say(pod)
    settle(api, fleet, namespace)
    fleet.say(pod, TrainerState.FINISHED, model="/m/model.safetensors", step=7)

    async def once(replica: Replica) -> None:
        await replica.look()
        await replica.reconciler.reconcile((namespace, "digits"))

    with_replicas(api, fleet, once)
    status = get(api, "etj", "digits", namespace)["status"]
    assert (status["phase"], status["model"]) == ("Complete", "edge-a:/m/model.safetensors")
    patch_status(api, "pod", pod["metadata"]["name"], namespace, {"status": {"phase": "Succeeded"}})
    settle(api, fleet, namespace)
    assert items(api, "etj", namespace) == []


def test_last_words_outlive_their_pod(api: ApiServer, namespace: str) -> None:
    make_node(api, "edge-a")
    api.apply(job(namespace, runPolicy={"backoffLimit": 0}))
    fleet = ScriptedFleet()
    settle(api, fleet, namespace)
    name = pod_on(api, namespace, "edge-a")["metadata"]["name"]
    end = {"exitCode": 1, "reason": "Error", "message": "ModuleNotFoundError: No module named 'edgetrain'"}
    trainer = {
        "name": "trainer",
        "image": "i",
        "imageID": "",
        "ready": False,
        "restartCount": 1,
        "state": {"waiting": {"reason": "CrashLoopBackOff"}},
        "lastState": {"terminated": end},
    }
    words = {"status": {"phase": "Running", "containerStatuses": [trainer]}}
    patch_status(api, "pod", name, namespace, words)
    settle(api, fleet, namespace)
    api.kubectl("delete", "pod", name, "-n", namespace, "--force", "--grace-period=0")
    settle(api, fleet, namespace)
    assert "No module named 'edgetrain'" in condition(api, namespace, "Failed")["message"]
    (line,) = get(api, "etj", "digits", namespace)["status"]["nodes"]
    assert line["state"] == "Failed" and "No module named 'edgetrain'" in line["message"]


def test_a_node_without_its_label_is_named_while_it_is_there(api: ApiServer, namespace: str) -> None:
    make_node(api, "edge-a")
    make_node(api, "edge-b")
    api.apply(job(namespace))
    fleet = ScriptedFleet()
    settle(api, fleet, namespace)
    api.kubectl("label", "node", "edge-b", f"{EDGE_NODE_LABEL}-")
    settle(api, fleet, namespace)
    settle(api, fleet, namespace)  # another operator, which never saw the label
    hint = f"edge-b had one and lacks the label {EDGE_NODE_LABEL}"
    assert hint in condition(api, namespace, "Scheduled")["message"]
    api.kubectl("delete", "node", "edge-b")
    settle(api, fleet, namespace)
    assert hint not in condition(api, namespace, "Scheduled")["message"]


def test_nothing_is_written_where_nothing_changed(api: ApiServer, namespace: str) -> None:
    make_node(api, "edge-a")
    api.apply(job(namespace))
    fleet = ScriptedFleet()

    async def story(replica: Replica) -> None:
        await replica.settle(namespace)
        fleet.say(pod_on(api, namespace, "edge-a"))
        await replica.settle(namespace)
        replica.kube.writes_left = 0
        await replica.settle(namespace)

    with_replicas(api, fleet, story)


def test_errors_of_the_server_are_told_apart(api: ApiServer, namespace: str) -> None:
    async def story(replica: Replica) -> None:
        with pytest.raises(KubeError, match="digits"):
            await replica.kube.get(
                Resource("X", "/apis/edgetrain.io/v1alpha1", "edgetrainingjobs"), "digits", namespace
            )
        gone = await replica.kube.find(NODES, "nobody")
        assert gone is None

    with_replicas(api, ScriptedFleet(), story)
