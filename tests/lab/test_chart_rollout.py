"""The chart's Deployment as it is run: two replicas, and one version after another without a gap."""

import json

import pytest

from edgelab.demo.install import CHART, OPERATOR_NAMESPACE
from edgelab.lab import Lab
from tests.support.pods import eventually

pytestmark = pytest.mark.lab

HERE = ("-n", OPERATOR_NAMESPACE)


def upgrade(lab: Lab, replicas: int) -> None:
    lab.helm(
        *("upgrade", "edgetrain", CHART, "--namespace", OPERATOR_NAMESPACE, "--reuse-values"),
        *("--set", f"replicaCount={replicas}", "--wait", "--timeout", "90s"),
    )


def ready_pods(lab: Lab) -> set[str]:
    found = json.loads(lab.kubectl(*HERE, "get", "pods", "-o", "json"))["items"]
    return {
        pod["metadata"]["name"]
        for pod in found
        if "deletionTimestamp" not in pod["metadata"]
        and any(c["type"] == "Ready" and c["status"] == "True" for c in pod["status"].get("conditions", ()))
    }


def leader(lab: Lab) -> str:
    lease = json.loads(lab.kubectl(*HERE, "get", "lease", "edgetrain-operator", "-o", "json"))
    return str(lease["spec"].get("holderIdentity") or "").partition("/")[0]


def test_two_replicas_are_replaced_one_by_one(lab: Lab, operator: str) -> None:
    """Were only the leader Ready, the roll-out would wait for ever: none may be missing meanwhile."""
    upgrade(lab, 2)
    try:
        before = ready_pods(lab)
        assert len(before) == 2
        assert leader(lab) in before
        lab.kubectl(*HERE, "rollout", "restart", "deployment/edgetrain-operator")
        lab.kubectl(*HERE, "rollout", "status", "deployment/edgetrain-operator", "--timeout=90s", timeout=100)
        eventually(lambda: len(ready_pods(lab)) == 2)
        after = ready_pods(lab)
        assert not after & before
        eventually(lambda: leader(lab) in after)
    finally:
        upgrade(lab, 1)
