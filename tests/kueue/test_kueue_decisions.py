"""What the real Kueue makes of the operator's Workloads, and the operator of its decisions.

On an API server without kubelets: a pod that is on a node ends when the test says so.
"""

import json
import uuid
from collections.abc import Iterator
from pathlib import Path
from typing import Any

import pytest

from benchmarks.quotas import URGENT, WORKERS, queue_of, quota
from benchmarks.waiting import wait_for
from edgetrain_operator.core.kueue.workload import workload_name
from tests.support.apiserver import ApiServer, running
from tests.support.kueue import running_kueue
from tests.support.objects import drop_nodes, get, items, make_node, patch_status, program, queued_job
from tests.support.operator_process import operator_process

CRD = Path(__file__).parents[2] / "crds" / "edgetrain.io_edgetrainingjobs.yaml"
QUEUE = "team-a"
WAIT = 30.0


@pytest.fixture(scope="module")
def api(tmp_path_factory: pytest.TempPathFactory) -> Iterator[ApiServer]:
    with running(tmp_path_factory.mktemp("apiserver")) as server:
        server.kubectl("apply", "--server-side", "-f", str(CRD))
        with running_kueue(server, tmp_path_factory.mktemp("kueue")):
            # A trainer asks for nothing here, its sidecar for 10m.
            server.apply(*quota(cpu=f"{10 * WORKERS}m"))
            yield server


@pytest.fixture
def namespace(api: ApiServer, tmp_path: Path) -> Iterator[str]:
    """With nodes, a queue and a running operator of its own."""
    name = f"test-{uuid.uuid4().hex[:10]}"
    account = {
        "apiVersion": "v1",
        "kind": "ServiceAccount",
        "metadata": {"name": "default", "namespace": name},
    }
    api.apply({"apiVersion": "v1", "kind": "Namespace", "metadata": {"name": name}}, account)
    program(api, name, "main.py")
    for node in ("edge-a", "edge-b"):
        make_node(api, node)
    with operator_process(api, name, tmp_path, KUEUE="true", RESYNC_SECONDS="86400"):
        yield name
    # No garbage collector is here, and quota is everybody's.
    for kind in ("etj", "workloads.kueue.x-k8s.io"):
        api.kubectl("delete", kind, "--all", "-n", name)
    drop_nodes(api)


class Job:
    """One of the namespace's."""

    def __init__(self, api: ApiServer, namespace: str, name: str, **asks: Any) -> None:
        self.api, self.namespace, self.name = api, namespace, name
        self.bound: set[str] = set()
        api.apply(queued_job(namespace, name, QUEUE, **{"nodes": {"min": WORKERS}, **asks}))
        self.uid = get(api, "etj", name, namespace)["metadata"]["uid"]

    @property
    def workload(self) -> dict[str, Any]:
        return get(self.api, "workloads.kueue.x-k8s.io", workload_name(self.name, self.uid), self.namespace)

    @property
    def pods(self) -> list[dict[str, Any]]:
        label = "edgetrain.io/job-uid"
        return [
            p for p in items(self.api, "pods", self.namespace) if p["metadata"]["labels"][label] == self.uid
        ]

    @property
    def held(self) -> str:
        """Why it may not run, as its condition says."""
        conditions = get(self.api, "etj", self.name, self.namespace).get("status", {}).get("conditions", [])
        return next((c["reason"] for c in conditions if c["type"] == "Suspended"), "")

    def said(self, kind: str) -> str:
        conditions = self.workload.get("status", {}).get("conditions", [])
        return next((c["status"] for c in conditions if c["type"] == kind), "")

    def wait(self, reason: str) -> None:
        wait_for(
            lambda: self.held == reason, WAIT, lambda: f"{self.name} {reason}: {json.dumps(self.workload)}"
        )

    def wait_pods(self, count: int = WORKERS) -> None:
        """That live; they are put on their nodes and run."""
        wait_for(
            lambda: len(self._living()) == count,
            WAIT,
            lambda: f"pods of {self.name}: {json.dumps(self.workload)}",
        )
        for pod in self._living():
            self._run(pod)

    def _living(self) -> list[dict[str, Any]]:
        return [p for p in self.pods if "deletionTimestamp" not in p["metadata"]]

    def _run(self, pod: dict[str, Any]) -> None:
        name, node = pod["metadata"]["name"], pod["metadata"]["annotations"]["edgetrain.io/node"]
        binding = {
            "apiVersion": "v1",
            "kind": "Binding",
            "metadata": {"name": name, "namespace": self.namespace},
            "target": {"apiVersion": "v1", "kind": "Node", "name": node},
        }
        where = f"/api/v1/namespaces/{self.namespace}/pods/{name}/binding"
        self.api.kubectl("create", "--raw", where, "-f", "-", stdin=json.dumps(binding))
        ready = [{"type": "Ready", "status": "True"}]
        patch_status(
            self.api, "pod", name, self.namespace, {"status": {"phase": "Running", "conditions": ready}}
        )

    def end_pods(self) -> None:
        """What their kubelets do when all containers have ended."""
        wait_for(lambda: not self._living(), WAIT, f"the pods of {self.name} to be told to end")
        for pod in self.pods:
            where = (pod["metadata"]["name"], "-n", self.namespace)
            self.api.kubectl("delete", "pod", *where, "--force", "--grace-period=0")

    def patch(self, kind: str, name: str, spec: dict[str, Any]) -> None:
        change = json.dumps({"spec": spec})
        self.api.kubectl("patch", kind, name, "-n", self.namespace, "--type=merge", "-p", change)


def test_a_job_makes_room_when_its_pods_have_ended_and_no_sooner(api: ApiServer, namespace: str) -> None:
    patient = Job(api, namespace, "patient")
    patient.wait("Inadmissible")
    api.apply(queue_of(namespace, QUEUE))
    patient.wait_pods()
    wait_for(lambda: patient.said("PodsReady") == "True", WAIT, "Kueue to be told that they are ready")

    urgent = Job(api, namespace, "urgent", priority=URGENT)
    patient.wait("Preempted")
    urgent.wait("Queued")
    wait_for(lambda: not patient._living(), WAIT, "its pods to be told to end")
    assert (len(patient.pods), urgent.pods) == (WORKERS, []), "they save"
    assert patient.said("QuotaReserved") == "True"
    patient.end_pods()
    urgent.wait_pods()
    patient.wait("Queued")

    api.kubectl("delete", "etj", "urgent", "-n", namespace)
    api.kubectl("delete", "workloads.kueue.x-k8s.io", workload_name("urgent", urgent.uid), "-n", namespace)
    patient.wait_pods()
    assert {p["metadata"]["labels"]["edgetrain.io/attempt"] for p in patient.pods} == {"2"}


def test_a_job_runs_with_what_there_is_where_that_is_enough_for_it(api: ApiServer, namespace: str) -> None:
    make_node(api, "edge-c")
    api.apply(queue_of(namespace, QUEUE))
    some = Job(api, namespace, "some", nodes={"min": 1})
    some.wait_pods()
    assert some.workload["spec"]["podSets"][0]["count"] == WORKERS + 1
    (assigned,) = some.workload["status"]["admission"]["podSetAssignments"]
    assert assigned["count"] == WORKERS
    conditions = get(api, "etj", "some", namespace)["status"]["conditions"]
    (scheduled,) = [c for c in conditions if c["type"] == "Scheduled"]
    assert f"has given quota for {WORKERS} workers" in scheduled["message"]


def test_suspended_by_a_person_a_job_leaves_its_quota_to_others(api: ApiServer, namespace: str) -> None:
    api.apply(queue_of(namespace, QUEUE))
    one = Job(api, namespace, "one")
    one.wait_pods()
    other = Job(api, namespace, "other")
    other.wait("Queued")
    one.patch("etj", "one", {"suspend": True})
    one.wait("SuspendRequested")
    one.end_pods()
    other.wait_pods()
    one.patch("etj", "one", {"suspend": False})
    one.wait("Queued")


def test_a_workload_that_is_deactivated_and_active_again(api: ApiServer, namespace: str) -> None:
    api.apply(queue_of(namespace, QUEUE))
    job = Job(api, namespace, "job")
    job.wait_pods()
    name = workload_name("job", job.uid)
    job.patch("workloads.kueue.x-k8s.io", name, {"active": False})
    job.wait("Evicted")
    job.end_pods()
    job.wait("Deactivated")
    job.patch("workloads.kueue.x-k8s.io", name, {"active": True})
    job.wait_pods()


def test_another_controllers_job_is_left_to_it(api: ApiServer, namespace: str) -> None:
    api.apply(queue_of(namespace, QUEUE))
    theirs = Job(api, namespace, "theirs", managedBy="kueue.x-k8s.io/multikueue")
    ours = Job(api, namespace, "ours")
    ours.wait_pods()
    assert len(items(api, "workloads.kueue.x-k8s.io", namespace)) == 1
    assert theirs.pods == []
    assert "status" not in get(api, "etj", "theirs", namespace)
