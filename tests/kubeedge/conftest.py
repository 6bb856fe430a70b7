"""One lab for all tests of a session: a cloud node, three KubeEdge nodes of one site, and the operator.

The operator is installed as docs/kubeedge.md says, with the chart's values for KubeEdge.
"""

import os
import uuid
from collections.abc import Iterator

import pytest

from edgelab.config import LabConfig, NodeSpec
from edgelab.demo.install import CHART, OPERATOR_NAMESPACE, make_namespace
from edgelab.lab import Lab

NODES = ("shop-1", "shop-2", "shop-3")
SITE = "shop"
PORT = 30443
"""Of the fleet API, as the chart's values for KubeEdge have it."""


@pytest.fixture(scope="session")
def lab() -> Iterator[Lab]:
    """Unshaped nodes. Who changes one puts it right again."""
    ours = Lab(f"kubeedge-{os.getpid()}", say=print)
    edge = [NodeSpec(name=name, kind="kubeedge", site=SITE, cpu=0.5) for name in NODES]
    try:
        ours.up(LabConfig(nodes=[NodeSpec(name="cloud", kind="cloud"), *edge]))
        yield ours
    finally:
        ours.down()


@pytest.fixture(scope="session")
def operator(lab: Lab) -> None:
    values = ("--values", CHART / "ci" / "kubeedge-values.yaml")
    own = ("--set", f"fleet.address={lab.address('cloud')}:{PORT}")
    where = ("--namespace", OPERATOR_NAMESPACE, "--create-namespace")
    lab.helm("install", "edgetrain", CHART, *where, *values, *own, "--wait", "--timeout", "2m", timeout=130)


@pytest.fixture
def namespace(lab: Lab) -> Iterator[str]:
    """A namespace that enforces the `restricted` Pod Security standard, gone after the test."""
    name = f"t-{uuid.uuid4().hex[:8]}"
    make_namespace(lab, name)
    yield name
    lab.kubectl("delete", "namespace", name, "--wait=false")
    lab.kubectl("-n", name, "delete", "pods", "--all", "--force", "--grace-period=0")
