"""Jobs that queue by Kueue, on a real API server that has its CRDs: what Kueue would write, a test does."""

import time
from collections.abc import Iterator
from dataclasses import replace
from pathlib import Path
from typing import Any

import pytest

from benchmarks.waiting import wait_for
from edgetrain_operator.core.kueue.workload import workload_name
from edgetrain_protocol.report import Checkpoint, TrainerState
from tests.support.apiserver import ApiServer
from tests.support.chart import SCHEMAS, teach_others_kinds
from tests.support.objects import (
    drop_nodes,
    get,
    items,
    make_node,
    patch_status,
    program,
    queued_job,
)
from tests.support.operator_process import operator_process
from tests.support.replicas import DEFAULTS, condition, pod_on, with_replicas
from tests.support.scripted_fleet import ScriptedFleet

KUEUES = [path for path in SCHEMAS if path.name.startswith("kueue")]
WITH_KUEUE = replace(DEFAULTS, kueue=True)
FLAVOR = {
    "apiVersion": "kueue.x-k8s.io/v1beta2",
    "kind": "ResourceFlavor",
    "metadata": {"name": "edge"},
    "spec": {"nodeLabels": {"board": "usual"}},
}


@pytest.fixture(scope="module")
def kueues_api(api: ApiServer) -> ApiServer:
    teach_others_kinds(api, KUEUES)
    api.apply(FLAVOR)
    return api


@pytest.fixture(autouse=True)
def _bare(kueues_api: ApiServer, namespace: str) -> Iterator[None]:
    drop_nodes(kueues_api)
    program(kueues_api, namespace, "main.py")
    yield
    drop_nodes(kueues_api)


def settle(api: ApiServer, fleet: ScriptedFleet, namespace: str) -> None:
    with_replicas(api, fleet, lambda replica: replica.settle(namespace), defaults=WITH_KUEUE)


def workload(api: ApiServer, namespace: str) -> dict[str, Any]:
    (found,) = items(api, "workloads.kueue.x-k8s.io", namespace)
    return found


def kueue_says(api: ApiServer, namespace: str, *conditions: tuple[str, str, str], **status: Any) -> None:
    """(type, status, reason) of each; the others stay."""
    found = workload(api, namespace)
    now = {"lastTransitionTime": time.strftime("%Y-%m-%dT%H:%M:%SZ", time.gmtime()), "message": "so it is"}
    new = {
        kind: {"type": kind, "status": holds, "reason": reason, **now} for kind, holds, reason in conditions
    }
    old = {c["type"]: c for c in found.get("status", {}).get("conditions", [])}
    name = found["metadata"]["name"]
    said = {"status": {**status, "conditions": list({**old, **new}.values())}}
    patch_status(api, "workloads.kueue.x-k8s.io", name, namespace, said)


def admit(api: ApiServer, namespace: str, count: int) -> None:
    mine = {"name": "workers", "count": count, "flavors": {"cpu": "edge"}, "resourceUsage": {"cpu": "20m"}}
    admission = {"clusterQueue": "fleet", "podSetAssignments": [mine]}
    reserved, admitted = ("QuotaReserved", "True", "QuotaReserved"), ("Admitted", "True", "Admitted")
    back = ("Evicted", "False", "QuotaReserved")
    kueue_says(api, namespace, reserved, admitted, back, admission=admission)


def said(api: ApiServer, namespace: str, kind: str) -> str:
    """Status of the Workload's condition."""
    conditions = workload(api, namespace)["status"]["conditions"]
    return next((str(c["status"]) for c in conditions if c["type"] == kind), "")


def test_a_job_is_admitted_preempted_and_resumed(api: ApiServer, namespace: str) -> None:
    make_node(api, "edge-a", board="usual")
    make_node(api, "edge-b", board="other")
    api.apply(queued_job(namespace))
    fleet = ScriptedFleet()
    settle(api, fleet, namespace)
    assert items(api, "pods", namespace) == []
    asked = workload(api, namespace)
    assert asked["spec"]["queueName"] == "team-a"
    assert [(s["name"], s["count"], s["minCount"]) for s in asked["spec"]["podSets"]] == [("workers", 2, 1)]
    assert (
        asked["metadata"]["ownerReferences"][0]["uid"]
        == get(api, "etj", "digits", namespace)["metadata"]["uid"]
    )
    assert condition(api, namespace, "Suspended")["reason"] == "Queued"

    admit(api, namespace, 2)
    settle(api, fleet, namespace)
    (pod,) = items(api, "pods", namespace)
    assert pod["metadata"]["annotations"]["edgetrain.io/node"] == "edge-a", "the only one of the flavor"
    fleet.say(pod)
    ready = [{"type": "Ready", "status": "True"}]
    patch_status(
        api, "pod", pod["metadata"]["name"], namespace, {"status": {"phase": "Running", "conditions": ready}}
    )
    settle(api, fleet, namespace)
    assert said(api, namespace, "PodsReady") == "True"
    plan = next(iter(fleet.plans.values()))[-1]
    assert plan.members

    kueue_says(api, namespace, ("Evicted", "True", "Preempted"))
    settle(api, fleet, namespace)
    assert condition(api, namespace, "Suspended")["reason"] == "Preempted"
    assert "deletionTimestamp" not in pod_on(api, namespace, "edge-a")["metadata"], "it saves"
    assert said(api, namespace, "QuotaReserved") == "True"
    kept = (Checkpoint(lineage=1, step=7, digest="d"),)
    fleet.say(pod, TrainerState.WAITING, checkpoints=kept)
    patch_status(api, "pod", pod["metadata"]["name"], namespace, {"status": {"phase": "Succeeded"}})
    settle(api, fleet, namespace)
    given_back = workload(api, namespace)["status"]
    assert "admission" not in given_back
    kinds = ("QuotaReserved", "Admitted", "PodsReady", "Requeued")
    assert [said(api, namespace, kind) for kind in kinds] == ["False", "False", "False", "True"]
    assert condition(api, namespace, "Suspended")["reason"] == "Queued"

    admit(api, namespace, 2)
    settle(api, fleet, namespace)
    assert pod_on(api, namespace, "edge-a")["metadata"]["labels"]["edgetrain.io/attempt"] == "2"
    api.kubectl("delete", "etj", "digits", "-n", namespace)


def test_what_is_asked_for_changes_with_the_job_until_it_is_given(api: ApiServer, namespace: str) -> None:
    make_node(api, "edge-a", board="usual")
    api.apply(queued_job(namespace))
    fleet = ScriptedFleet()
    settle(api, fleet, namespace)
    before = workload(api, namespace)
    make_node(api, "edge-b", board="usual")
    api.kubectl("label", "etj", "digits", "-n", namespace, "--overwrite", "kueue.x-k8s.io/queue-name=team-b")
    settle(api, fleet, namespace)
    after = workload(api, namespace)
    assert after["metadata"]["uid"] == before["metadata"]["uid"]
    assert (after["spec"]["queueName"], after["spec"]["podSets"][0]["count"]) == ("team-b", 2)
    settle(api, fleet, namespace)
    assert workload(api, namespace)["metadata"]["resourceVersion"] == after["metadata"]["resourceVersion"]
    api.kubectl("label", "etj", "digits", "-n", namespace, "kueue.x-k8s.io/queue-name-")
    settle(api, fleet, namespace)
    assert items(api, "workloads.kueue.x-k8s.io", namespace) == []
    assert len(items(api, "pods", namespace)) == 2


def test_a_priority_class_is_looked_up_and_missed(api: ApiServer, namespace: str) -> None:
    make_node(api, "edge-a", board="usual")
    name = f"urgent-{namespace}"
    api.apply(queued_job(namespace, priority=name))
    fleet = ScriptedFleet()
    settle(api, fleet, namespace)
    assert items(api, "workloads.kueue.x-k8s.io", namespace) == []
    missed = condition(api, namespace, "Suspended")
    assert missed["reason"] == "PriorityClassMissing" and name in missed["message"]
    api.apply(
        {
            "apiVersion": "kueue.x-k8s.io/v1beta2",
            "kind": "WorkloadPriorityClass",
            "metadata": {"name": name},
            "value": 1000,
        }
    )
    settle(api, fleet, namespace)
    spec = workload(api, namespace)["spec"]
    assert (spec["priority"], spec["priorityClassRef"]["name"]) == (1000, name)


def test_a_workload_that_is_not_the_jobs_is_not_taken_for_it(api: ApiServer, namespace: str) -> None:
    make_node(api, "edge-a", board="usual")
    api.apply(queued_job(namespace, suspend=True))
    uid = get(api, "etj", "digits", namespace)["metadata"]["uid"]
    spec = {"queueName": "q", "podSets": [{"name": "workers", "count": 1, "template": {}}]}
    meta = {"name": workload_name("digits", uid), "namespace": namespace}
    api.apply({"apiVersion": "kueue.x-k8s.io/v1beta2", "kind": "Workload", "metadata": meta, "spec": spec})
    admit(api, namespace, 1)
    api.kubectl("patch", "etj", "digits", "-n", namespace, "--type=merge", "-p", '{"spec":{"suspend":false}}')
    settle(api, ScriptedFleet(), namespace)
    assert items(api, "pods", namespace) == []


def test_a_finished_job_says_so_to_kueue(api: ApiServer, namespace: str) -> None:
    make_node(api, "edge-a", board="usual")
    api.apply(queued_job(namespace))
    fleet = ScriptedFleet()
    settle(api, fleet, namespace)
    admit(api, namespace, 1)
    settle(api, fleet, namespace)
    pod = pod_on(api, namespace, "edge-a")
    fleet.say(pod)
    settle(api, fleet, namespace)
    fleet.say(pod, TrainerState.FINISHED, model="/m", step=7)
    settle(api, fleet, namespace)
    assert said(api, namespace, "Finished") == "True"


def test_a_running_operator_hears_of_what_kueue_decides(
    api: ApiServer, namespace: str, tmp_path: Path
) -> None:
    make_node(api, "edge-a", board="usual")
    with operator_process(api, namespace, tmp_path, KUEUE="true", RESYNC_SECONDS="86400"):
        api.apply(queued_job(namespace))
        wait_for(lambda: items(api, "workloads.kueue.x-k8s.io", namespace), 10, "a Workload")
        admit(api, namespace, 1)
        wait_for(lambda: items(api, "pods", namespace), 10, "its pod")
        kueue_says(api, namespace, ("Evicted", "True", "Preempted"))
        # No kubelet has the pod: nothing is to be saved, and it is gone at once.
        wait_for(lambda: said(api, namespace, "QuotaReserved") == "False", 10, "its quota to be given back")
        assert items(api, "pods", namespace) == []


def test_an_operator_without_kueue_says_so(api: ApiServer, namespace: str) -> None:
    make_node(api, "edge-a", board="usual")
    api.apply(queued_job(namespace))
    with_replicas(api, ScriptedFleet(), lambda replica: replica.settle(namespace))
    assert items(api, "pods", namespace) == []
    held = condition(api, namespace, "Suspended")
    assert held["reason"] == "KueueNotEnabled" and "kueue.enabled" in held["message"]
