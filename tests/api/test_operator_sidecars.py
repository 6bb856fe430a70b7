"""Pods into which somebody else puts containers, as a service mesh does, on a real API server."""

import time
from collections.abc import Iterator
from typing import Any

import pytest

from tests.support.apiserver import ApiServer
from tests.support.objects import drop_nodes, items, job, make_node, patch_status, program
from tests.support.replicas import condition, pod_on, settle
from tests.support.scripted_fleet import ScriptedFleet

KIND = "mutatingadmissionpolicies"
SECURITY = (
    "Object.spec.{kind}.securityContext{{allowPrivilegeEscalation: false,"
    " capabilities: Object.spec.{kind}.securityContext.capabilities{{drop: ['ALL']}}}}"
)


def put_in(kind: str, name: str) -> str:
    """A patch that puts a container before all others."""
    says = f"name: '{name}', image: 'mesh:1', securityContext: {SECURITY.format(kind=kind)}"
    container = f"Object.spec.{kind}{{{says}}}"
    return f"JSONPatch{{op: 'add', path: '/spec/{kind}/0', value: {container}}}"


def mesh(namespace: str) -> list[dict[str, Any]]:
    """What injects itself into all pods of this namespace."""
    expression = f"[{put_in('containers', 'mesh-proxy')}, {put_in('initContainers', 'mesh-init')}]"
    rule = {"apiGroups": [""], "apiVersions": ["v1"], "resources": ["pods"], "operations": ["CREATE"]}
    here = {"matchLabels": {"kubernetes.io/metadata.name": namespace}}
    spec = {
        "matchConstraints": {"resourceRules": [rule], "namespaceSelector": here},
        "failurePolicy": "Fail",
        "reinvocationPolicy": "Never",
        "mutations": [{"patchType": "JSONPatch", "jsonPatch": {"expression": expression}}],
    }
    api, metadata = "admissionregistration.k8s.io/v1", {"name": f"mesh-{namespace}"}
    return [
        {"apiVersion": api, "kind": "MutatingAdmissionPolicy", "metadata": metadata, "spec": spec},
        {
            "apiVersion": api,
            "kind": "MutatingAdmissionPolicyBinding",
            "metadata": metadata,
            "spec": {"policyName": metadata["name"]},
        },
    ]


def names(pod: dict[str, Any], kind: str) -> list[str]:
    return [container["name"] for container in pod["spec"][kind]]


def probe(namespace: str) -> dict[str, Any]:
    security = {"allowPrivilegeEscalation": False, "capabilities": {"drop": ["ALL"]}}
    container = {"name": "c", "image": "i", "securityContext": security}
    pod = {"runAsNonRoot": True, "seccompProfile": {"type": "RuntimeDefault"}}
    spec = {"containers": [container], "initContainers": [{**container, "name": "i"}], "securityContext": pod}
    metadata = {"name": "probe", "namespace": namespace}
    return {"apiVersion": "v1", "kind": "Pod", "metadata": metadata, "spec": spec}


@pytest.fixture
def injected(api: ApiServer, namespace: str) -> Iterator[str]:
    """A namespace in which it does."""
    if KIND not in api.kubectl("api-resources", "--api-group=admissionregistration.k8s.io").stdout:
        pytest.skip("this API server changes pods by webhooks alone")
    drop_nodes(api)
    program(api, namespace, "main.py")
    policies = mesh(namespace)
    api.apply(*policies)
    until = time.monotonic() + 60
    while True:
        api.apply(probe(namespace))
        (pod,) = items(api, "pods", namespace)
        api.kubectl("delete", "pod", "probe", "-n", namespace, "--now")
        if names(pod, "containers")[0] == "mesh-proxy":
            break
        assert time.monotonic() < until, "the policy does not hold"
    yield namespace
    drop_nodes(api)
    for policy in reversed(policies):
        api.kubectl("delete", policy["kind"], policy["metadata"]["name"])


def test_a_worker_is_over_with_its_trainer_whatever_somebody_else_runs_beside_it(
    api: ApiServer, injected: str
) -> None:
    fleet = ScriptedFleet()
    make_node(api, "edge-a")
    api.apply(job(injected))
    settle(api, fleet, injected)
    pod = pod_on(api, injected, "edge-a")
    assert names(pod, "containers") == ["mesh-proxy", "trainer"]
    assert names(pod, "initContainers") == ["mesh-init", "profiler"]
    running = {"running": {"startedAt": "2026-01-01T00:00:00Z"}}
    crashed = {"terminated": {"exitCode": 1, "reason": "Error", "finishedAt": "2026-01-01T00:00:00Z"}}
    common = {"image": "mesh:1", "imageID": "", "ready": True, "restartCount": 0}

    def told(**states: Any) -> None:
        found = [{"name": name, "state": state, **common} for name, state in states.items()]
        of_mesh = {"name": "mesh-proxy", "state": running, "lastState": crashed, **common, "restartCount": 9}
        status = {"phase": "Running", "containerStatuses": [of_mesh, *found]}
        patch_status(api, "pod", pod["metadata"]["name"], injected, {"status": status})
        settle(api, fleet, injected)

    told(trainer=running)
    assert [p["metadata"]["uid"] for p in items(api, "pods", injected)] == [pod["metadata"]["uid"]]
    said = condition(api, injected, "Degraded")["message"]
    assert said == "not training yet: edge-a", "a mesh's crashes are its own"
    told(trainer={"terminated": {"exitCode": 0, "reason": "Completed"}})
    (other,) = items(api, "pods", injected)
    assert other["metadata"]["labels"]["edgetrain.io/attempt"] == "2"
    assert names(other, "containers") == ["mesh-proxy", "trainer"]
