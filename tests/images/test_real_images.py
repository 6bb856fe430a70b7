"""The real images, built on this machine: the example trains from them to its end, with nothing mounted."""

import json
import os
from collections.abc import Iterator

import pytest

from benchmarks.waiting import wait_for
from edgelab.config import NodeSpec
from edgelab.demo.install import EXAMPLE, install_operator, make_namespace
from edgelab.demo.summary import ACCURACY_GOAL, held_out_accuracy, model_file
from edgelab.errors import LabError
from edgelab.images import OPERATOR_IMAGE, TRAINER_IMAGE, USER, source_tree
from edgelab.lab import Lab
from edgelab.real_images.build import ensure_built
from edgelab.real_images.recipe import torch_backend
from edgelab.real_images.store import sizes_of
from edgetrain_protocol.status import JobStatus
from tests.support.labs import running_lab
from tests.support.pods import apply, get, restricted_pod

pytestmark = pytest.mark.lab

NAMESPACE = "real"
EDGE = ("edge-1", "edge-2")
SECONDS = 240.0
LOOK = """
import json, os, sys, edgetrain, torch
try:
    open("/written", "w")
    writable = True
except OSError:
    writable = False
seen = {"uid": os.getuid(), "writable": writable, "compiled": os.path.exists(torch.__spec__.cached)}
print(json.dumps(seen | {"package": edgetrain.__file__, "tree": os.path.exists(TREE)}))
"""


@pytest.fixture(scope="module")
def real() -> Iterator[Lab]:
    """A lab of its own, with the operator and a namespace that enforces `restricted`."""
    edge = [NodeSpec(name=name) for name in EDGE]
    with running_lab(f"own-{os.getpid()}-real", edge, images="real") as lab:
        install_operator(lab, "cloud")
        make_namespace(lab, NAMESPACE)
        yield lab


def status(lab: Lab) -> JobStatus:
    return JobStatus.model_validate(get(lab, NAMESPACE, "etj", "digits").get("status", {}))


def over(lab: Lab) -> JobStatus | None:
    found = status(lab)
    if found.phase not in ("Succeeded", "Complete", "Failed"):
        raise LabError(f"{found.phase}: {[(c.type, c.status, c.message) for c in found.conditions]}")
    return found


def test_the_example_trains_to_its_end(real: Lab) -> None:
    real.kubectl("-n", NAMESPACE, "apply", "-f", EXAMPLE)
    ended = wait_for(lambda: over(real), SECONDS)
    assert ended
    assert (ended.phase, {node.node for node in ended.nodes}) == ("Complete", set(EDGE))
    assert held_out_accuracy(real, NAMESPACE, ended) >= ACCURACY_GOAL
    assert model_file(real, NAMESPACE, ended).stat().st_size > 0


def test_a_container_sees_its_image_and_nothing_of_this_machine(real: Lab) -> None:
    program = f"TREE = {str(source_tree())!r}\n{LOOK}"
    apply(real, NAMESPACE, restricted_pod("look", EDGE[0], program))
    logs = wait_for(lambda: real.kubectl("-n", NAMESPACE, "logs", "look"), SECONDS)
    seen = json.loads(logs.splitlines()[0])
    assert seen.pop("package").startswith("/opt/edgetrain/")
    assert seen == {"uid": USER, "writable": False, "compiled": True, "tree": False}


def test_images_are_small() -> None:
    sizes = {tag.removeprefix("docker.io/"): size for tag, size in sizes_of(ensure_built(print)).items()}
    assert sizes[OPERATOR_IMAGE] < 200e6
    if torch_backend() == "cpu":
        assert sizes[TRAINER_IMAGE] < 1200e6
