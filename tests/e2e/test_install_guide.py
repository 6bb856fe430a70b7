"""docs/install.md, followed to the letter: from bare nodes to a model, and back to bare nodes."""

import json
import os
import re
import subprocess
from collections.abc import Mapping
from typing import Any

import pytest

from benchmarks.waiting import wait_for
from edgelab.demo.summary import ACCURACY_GOAL
from edgelab.errors import LabError
from edgetrain_protocol.names import ATTEMPT_LABEL, NODE_ANNOTATION
from edgetrain_protocol.status import ConditionType, JobStatus, NodeState
from tests.support.clusters import Environment
from tests.support.guide import PAGE, Guide, steps

pytestmark = pytest.mark.lab

SECONDS = 300.0
NAMESPACE = ("-n", "demo")


def kubectl(environment: Environment, *arguments: str) -> str:
    """Raises:
    LabError: it failed.
    """
    done = subprocess.run(
        ["kubectl", *arguments], env={**os.environ, **environment}, capture_output=True, text=True, timeout=60
    )
    if done.returncode:
        raise LabError(done.stderr)
    return done.stdout


def status(environment: Environment) -> JobStatus:
    found = json.loads(kubectl(environment, *NAMESPACE, "get", "etj", "digits", "-o", "json"))
    return JobStatus.model_validate(found.get("status", {}))


def all_train(environment: Environment) -> bool:
    states = {line.node: line.state for line in status(environment).nodes}
    return states == dict.fromkeys(environment["EDGES"].split(), NodeState.TRAINING)


def attempts(environment: Environment) -> Mapping[str, int]:
    """Which pod each node is at, as numbered by the operator."""
    pods = json.loads(kubectl(environment, *NAMESPACE, "get", "pods", "-o", "json"))["items"]
    found: dict[str, int] = {}
    for pod in pods:
        node, attempt = (
            pod["metadata"]["annotations"][NODE_ANNOTATION],
            pod["metadata"]["labels"][ATTEMPT_LABEL],
        )
        found[node] = max(int(attempt), found.get(node, 0))
    return found


def accuracy(environment: Environment) -> float:
    """Held-out, as the program printed it on the node that kept the model."""
    node = (status(environment).model or "").partition(":")[0]
    pods: list[dict[str, Any]] = json.loads(kubectl(environment, *NAMESPACE, "get", "pods", "-o", "json"))[
        "items"
    ]
    name = next(p["metadata"]["name"] for p in reversed(pods) if p["spec"]["nodeName"] == node)
    log = kubectl(environment, *NAMESPACE, "logs", name, "-c", "trainer")
    found = re.search(r"held-out accuracy: ([0-9.]+)", log)
    assert found, log[-2000:]
    return float(found[1])


def test_the_guide_leads_to_a_model_and_back(environment: Environment) -> None:
    guide = Guide(environment)
    guide.follow("Say which nodes are which")
    guide.follow("Install the operator")
    guide.follow("Train")
    wait_for(lambda: all_train(environment), SECONDS, lambda: str(status(environment)), every=0.5)
    shown = guide.follow("Look")
    assert all(re.search(rf"^{node}  Training", shown, re.MULTILINE) for node in environment["EDGES"].split())
    before = attempts(environment)
    guide.follow("Take a worker away")
    wait_for(lambda: sum(attempts(environment).values()) > sum(before.values()), 60, "another pod")
    guide.follow("Wait for the model")
    ended = {c.type: c.status for c in status(environment).conditions}
    assert (ended[ConditionType.COMPLETE], ended[ConditionType.FAILED]) == ("True", "False")
    assert accuracy(environment) >= ACCURACY_GOAL
    assert status(environment).progress.metrics["accuracy"] == pytest.approx(accuracy(environment), abs=1e-3)
    guide.follow("Upgrade")
    guide.follow("Remove it")
    with pytest.raises(LabError, match="NotFound"):
        kubectl(environment, "get", "crd", "edgetrainingjobs.edgetrain.io")
    assert guide.followed == [step.heading for step in steps(PAGE.read_text()) if not step.elsewhere]
