"""The operator as it is installed in a lab: its Helm release, and which of its replicas leads."""

import json

from edgelab.demo.install import CHART, OPERATOR_NAMESPACE
from edgelab.lab import Lab

HERE = ("-n", OPERATOR_NAMESPACE)


def upgrade(lab: Lab, replicas: int) -> None:
    """Run so many replicas; returns when all are Ready."""
    lab.helm(
        *("upgrade", "edgetrain", CHART, *HERE, "--reuse-values"),
        *("--set", f"replicaCount={replicas}", "--wait", "--timeout", "90s"),
    )


def leader(lab: Lab) -> str:
    """The pod that holds the Lease; empty if none does."""
    lease = json.loads(lab.kubectl(*HERE, "get", "lease", "edgetrain-operator", "-o", "json"))
    return str(lease["spec"].get("holderIdentity") or "").partition("/")[0]
