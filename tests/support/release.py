"""The operator as it is installed in a lab: its Helm release, and which of its replicas leads."""

import json

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
