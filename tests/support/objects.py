"""Kubernetes objects for tests, made and looked at through kubectl."""

import json
import time
import uuid
from collections.abc import Iterator
from contextlib import contextmanager
from typing import Any, TypeVar

from tests.support.apiserver import ApiServer

T = TypeVar("T")
EDGE = {"node-role.kubernetes.io/edge": ""}


def get(api: ApiServer, kind: str, name: str, namespace: str) -> dict[str, Any]:
    answer = api.kubectl("get", kind, name, "-n", namespace, "-o", "json").stdout
    found: dict[str, Any] = json.loads(answer)
    return found


def items(api: ApiServer, kind: str, namespace: str) -> list[dict[str, Any]]:
    answer = api.kubectl("get", kind, "-n", namespace, "-o", "json").stdout
    found: list[dict[str, Any]] = json.loads(answer)["items"]
    return found


def job(namespace: str, name: str = "digits", **spec: Any) -> dict[str, Any]:
    """The least that is a job; `spec` on top."""
    program = {"source": {"configMap": {"name": "program"}}}
    return {
        "apiVersion": "edgetrain.io/v1alpha1",
        "kind": "EdgeTrainingJob",
        "metadata": {"name": name, "namespace": namespace},
        "spec": {"program": program, **spec},
    }


def queued_job(
    namespace: str, name: str = "digits", queue: str = "team-a", priority: str = "", **spec: Any
) -> dict[str, Any]:
    """One that queues by Kueue, and can be resumed."""
    made = job(namespace, name, storage={"checkpoint": {"claim": {"size": "1Gi"}}}, **spec)
    labels = {"kueue.x-k8s.io/queue-name": queue, "kueue.x-k8s.io/priority-class": priority}
    made["metadata"]["labels"] = {key: value for key, value in labels.items() if value}
    return made


def program(api: ApiServer, namespace: str, file: str) -> None:
    """The ConfigMap that `job` names, holding this file."""
    data = {file: "print('hello')"}
    api.apply(
        {
            "apiVersion": "v1",
            "kind": "ConfigMap",
            "metadata": {"name": "program", "namespace": namespace},
            "data": data,
        }
    )


def make_node(api: ApiServer, name: str, ready: bool = True, kubelet: str = "v1.36.3", **labels: str) -> None:
    """A node as a kubelet would register and report it."""
    node = {"apiVersion": "v1", "kind": "Node", "metadata": {"name": name, "labels": EDGE | labels}}
    api.apply(node)
    set_ready(api, name, ready, kubelet)


def set_ready(api: ApiServer, name: str, ready: bool = True, kubelet: str = "v1.36.3") -> None:
    now = time.strftime("%Y-%m-%dT%H:%M:%SZ", time.gmtime())
    condition = {"type": "Ready", "status": "True" if ready else "Unknown", "lastTransitionTime": now}
    status = {"status": {"conditions": [condition], "nodeInfo": {"kubeletVersion": kubelet}}}
    patch_status(api, "node", name, "", status)
    # What the node lifecycle controller does: the API server taints every new node as not ready.
    taints = "null" if ready else '[{"key": "node.kubernetes.io/not-ready", "effect": "NoSchedule"}]'
    api.kubectl("patch", "node", name, "--type=merge", "-p", f'{{"spec": {{"taints": {taints}}}}}')


def patch_status(api: ApiServer, kind: str, name: str, namespace: str, patch: dict[str, Any]) -> None:
    where = ["-n", namespace] if namespace else []
    api.kubectl("patch", kind, name, *where, "--subresource=status", "--type=merge", "-p", json.dumps(patch))


def namespace_made(api: ApiServer) -> str:
    """A fresh one that enforces `restricted`, with the ServiceAccount that a controller would make."""
    name = f"test-{uuid.uuid4().hex[:10]}"
    labels = {"pod-security.kubernetes.io/enforce": "restricted"}
    api.apply(
        {"apiVersion": "v1", "kind": "Namespace", "metadata": {"name": name, "labels": labels}},
        {"apiVersion": "v1", "kind": "ServiceAccount", "metadata": {"name": "default", "namespace": name}},
    )
    return name


@contextmanager
def nodes_and_program(api: ApiServer, namespace: str, *names: str) -> Iterator[None]:
    """These nodes alone, and a program of one file; the nodes are gone afterwards."""
    drop_nodes(api)
    program(api, namespace, "main.py")
    for name in names:
        make_node(api, name)
    yield
    drop_nodes(api)


def drop_nodes(api: ApiServer) -> None:
    """Nodes have no namespace: each test must leave none behind."""
    api.kubectl("delete", "node", "--all", "--wait=false")
