"""The chart's Deployment as it is run: two replicas, and one version after another without a gap."""

import json

import pytest

from benchmarks.waiting import wait_for
from edgelab.lab import Lab
from tests.support.release import HERE, leader, upgrade

pytestmark = pytest.mark.lab


def ready_pods(lab: Lab) -> set[str]:
    found = json.loads(lab.kubectl(*HERE, "get", "pods", "-o", "json"))["items"]
    return {
        pod["metadata"]["name"]
        for pod in found
        if "deletionTimestamp" not in pod["metadata"]
        and any(c["type"] == "Ready" and c["status"] == "True" for c in pod["status"].get("conditions", ()))
    }


def test_two_replicas_are_replaced_one_by_one(lab: Lab, operator: str) -> None:
    """Were only the leader Ready, the roll-out would wait for ever: none may be missing meanwhile."""
    upgrade(lab, 2)
    try:
        before = ready_pods(lab)
        assert len(before) == 2
        assert leader(lab) in before
        lab.kubectl(*HERE, "rollout", "restart", "deployment/edgetrain-operator")
        lab.kubectl(*HERE, "rollout", "status", "deployment/edgetrain-operator", "--timeout=90s", timeout=100)
        wait_for(lambda: len(ready_pods(lab)) == 2)
        after = ready_pods(lab)
        assert not after & before
        wait_for(lambda: leader(lab) in after)
    finally:
        upgrade(lab, 1)
