"""What status says when those are silent or gone who could say it: workers, pods, an earlier operator."""

from collections.abc import Iterator

import pytest

from benchmarks.waiting import wait_for
from edgelab.demo.install import OPERATOR_NAMESPACE, fleet_address, upgrade_operator
from edgelab.lab import Lab
from edgetrain_protocol.names import EDGE_NODE_LABEL, JOB_NAME_LABEL
from tests.support.pods import Json, apply, get
from tests.support.release import HERE
from tests.support.small_jobs import SECONDS, job, program, says

pytestmark = pytest.mark.lab

FILL = "held = [bytearray(b'x' * (8 << 20)) for _ in range(1000)]"
NOBODY = "10.255.255.1:30843"


@pytest.fixture
def wrong_address(lab: Lab, operator: str) -> Iterator[str]:
    before = operators(lab)
    upgrade_operator(lab, "--set", f"fleet.address={NOBODY}")
    # One that is still ending may lead until then, and makes pods with the right address.
    lab.kubectl("-n", OPERATOR_NAMESPACE, "wait", "--for=delete", "--timeout=60s", *before)
    yield NOBODY
    upgrade_operator(lab, "--set", f"fleet.address={fleet_address(lab, 'cloud')}")


def operators(lab: Lab) -> list[str]:
    """The operator's pods, as `pod/NAME`."""
    selector = "app.kubernetes.io/name=edgetrain-operator"
    return lab.kubectl("-n", OPERATOR_NAMESPACE, "get", "pods", "-l", selector, "-o", "name").split()


@pytest.fixture
def unlabelled(lab: Lab) -> Iterator[str]:
    """A node that a test takes the label of; it has it again afterwards."""
    yield "edge-2"
    lab.kubectl("label", "node", "edge-2", "--overwrite", f"{EDGE_NODE_LABEL}=")


def states(lab: Lab, namespace: str, name: str) -> dict[str, str]:
    nodes = get(lab, namespace, "etj", name).get("status", {}).get("nodes", [])
    return {line["node"]: line["state"] for line in nodes}


def phase(lab: Lab, namespace: str, name: str) -> str:
    return str(get(lab, namespace, "etj", name).get("status", {}).get("phase", ""))


def template(**trainer: object) -> Json:
    """Of the pods, with this added to the trainer's container."""
    volumes = [{"name": "foreign", "configMap": {"name": "foreign", "optional": True}}]
    return {"spec": {"volumes": volumes, "containers": [{"name": "trainer", **trainer}]}}


def test_an_image_without_the_package_is_told_in_its_own_words(
    lab: Lab, operator: str, namespace: str
) -> None:
    data = {"edgetrain.py": "# stands for an image that lacks the package"}
    apply(
        lab,
        namespace,
        {"apiVersion": "v1", "kind": "ConfigMap", "metadata": {"name": "foreign"}, "data": data},
    )
    mounts = [{"name": "foreign", "mountPath": "/foreign", "readOnly": True}]
    wrong = template(env=[{"name": "PYTHONPATH", "value": "/foreign"}], volumeMounts=mounts)
    apply(lab, namespace, job("foreign", program(), template=wrong))
    says(lab, namespace, "foreign", "ProgramFailed", "backoffLimit is 0", "ModuleNotFoundError", "edgetrain")


def test_a_program_killed_for_memory_is_told_with_its_limit(lab: Lab, operator: str, namespace: str) -> None:
    little = {"limits": {"memory": "100Mi"}}
    apply(lab, namespace, job("memory", program(before=FILL), template=template(resources=little)))
    says(lab, namespace, "memory", "OutOfMemory", "limit of 100", "raise the container's memory limit")


def test_a_complete_job_reads_as_it_ended(lab: Lab, operator: str, namespace: str) -> None:
    apply(lab, namespace, job("done", program(epochs=3)))
    wait_for(lambda: phase(lab, namespace, "done") == "Complete", SECONDS)
    ended = {"edge-1": "Finished", "edge-2": "Finished"}
    wait_for(lambda: states(lab, namespace, "done") == ended, SECONDS)
    lab.kubectl("-n", namespace, "delete", "pods", "-l", f"{JOB_NAME_LABEL}=done", "--wait=true")
    lab.kubectl(*HERE, "rollout", "restart", "deployment")
    lab.kubectl(*HERE, "rollout", "status", "deployment", "--timeout=90s")
    apply(lab, namespace, job("next", program(), nodes={"selector": {"matchLabels": {"nowhere": "true"}}}))
    says(lab, namespace, "next", "NoMatchingNodes")  # the new operator has come to these jobs
    assert states(lab, namespace, "done") == ended


def test_a_node_that_lost_its_label_is_named(
    lab: Lab, operator: str, namespace: str, unlabelled: str
) -> None:
    apply(lab, namespace, job("hint", program()))
    wait_for(lambda: set(states(lab, namespace, "hint").values()) == {"Training"}, SECONDS)
    lab.kubectl("label", "node", unlabelled, f"{EDGE_NODE_LABEL}-")
    says(lab, namespace, "hint", "NodesFound", f"{unlabelled} had one and lacks the label {EDGE_NODE_LABEL}")


def test_workers_that_dial_where_nobody_answers_are_named(
    lab: Lab, wrong_address: str, namespace: str
) -> None:
    apply(lab, namespace, job("unheard", program()))
    says(lab, namespace, "unheard", "NeverHeard", f"it dials {wrong_address}", "also NeverHeard on")
    assert states(lab, namespace, "unheard") == {"edge-1": "Lost", "edge-2": "Lost"}
