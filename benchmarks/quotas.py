"""Quota of Kueue's: a ClusterQueue with room for two workers, in which who is urgent goes first."""

from typing import Any

Json = dict[str, Any]

API = "kueue.x-k8s.io/v1beta2"
CLUSTER_QUEUE, QUEUE, URGENT = "fleet", "team", "urgent"
WORKERS = 2
"""For whom there is quota."""


def quota(cpu: str = f"{110 * WORKERS}m") -> list[Json]:
    """A ClusterQueue in which who is urgent takes the quota of who is not."""
    amounts = {"cpu": cpu, "memory": "64Gi"}
    resources = [{"name": name, "nominalQuota": amount} for name, amount in amounts.items()]
    spec = {
        "namespaceSelector": {},
        "preemption": {"withinClusterQueue": "LowerPriority"},
        "resourceGroups": [
            {"coveredResources": [*amounts], "flavors": [{"name": "edge", "resources": resources}]}
        ],
    }
    labels = {"node-role.kubernetes.io/edge": ""}
    made = (
        {"kind": "ResourceFlavor", "metadata": {"name": "edge"}, "spec": {"nodeLabels": labels}},
        {"kind": "ClusterQueue", "metadata": {"name": CLUSTER_QUEUE}, "spec": spec},
        {"kind": "WorkloadPriorityClass", "metadata": {"name": URGENT}, "value": 1000},
    )
    return [{"apiVersion": API, **manifest} for manifest in made]


def queue_of(namespace: str, name: str = QUEUE) -> Json:
    """A LocalQueue of that ClusterQueue."""
    meta = {"name": name, "namespace": namespace}
    return {
        "apiVersion": API,
        "kind": "LocalQueue",
        "metadata": meta,
        "spec": {"clusterQueue": CLUSTER_QUEUE},
    }
