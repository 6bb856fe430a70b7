"""The operator as it is installed in a lab: its Helm release, and which of its replicas leads."""

import json

from benchmarks.waiting import wait_for
from edgelab.demo.install import OPERATOR_NAMESPACE, upgrade_operator
from edgelab.lab import Lab

HERE = ("-n", OPERATOR_NAMESPACE)


def upgrade(lab: Lab, replicas: int) -> None:
    """Run so many replicas; returns when all are Ready."""
    upgrade_operator(lab, "--set", f"replicaCount={replicas}")


def leader(lab: Lab) -> str:
    """The pod that holds the Lease; empty if none does."""
    lease = json.loads(lab.kubectl(*HERE, "get", "lease", "edgetrain-operator", "-o", "json"))
    return str(lease["spec"].get("holderIdentity") or "").partition("/")[0]


def living_leader(lab: Lab) -> str:
    """The pod that leads, once one of those that exist does: a Lease outlives the pod that held it."""

    def found() -> str:
        pods = json.loads(lab.kubectl(*HERE, "get", "pods", "-o", "json"))["items"]
        staying = {pod["metadata"]["name"] for pod in pods if "deletionTimestamp" not in pod["metadata"]}
        held = leader(lab)
        return held if held in staying else ""

    return wait_for(found, 60, "an operator's pod that exists to hold the Lease")
