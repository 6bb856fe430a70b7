"""One lab for all tests of a session: a cloud node, three KubeEdge nodes of one site, and the operator.

The operator is installed as docs/kubeedge.md says, with the chart's values for KubeEdge.
"""

import os
from collections.abc import Iterator

import pytest

from edgelab.config import NodeSpec
from edgelab.demo.install import CHART, OPERATOR_NAMESPACE
from edgelab.lab import Lab
from tests.support.labs import own_namespace, running_lab

NODES = ("shop-1", "shop-2", "shop-3")
SITE = "shop"
PORT = 30443
"""Of the fleet API, as the chart's values for KubeEdge have it."""


@pytest.fixture(scope="session")
def lab() -> Iterator[Lab]:
    """Unshaped nodes. Who changes one puts it right again."""
    edge = [NodeSpec(name=name, kind="kubeedge", site=SITE, cpu=0.5) for name in NODES]
    with running_lab(f"kubeedge-{os.getpid()}", edge) as ours:
        yield ours


@pytest.fixture(scope="session")
def operator(lab: Lab) -> None:
    values = ("--values", CHART / "ci" / "kubeedge-values.yaml")
    own = ("--set", f"fleet.address={lab.address('cloud')}:{PORT}")
    where = ("--namespace", OPERATOR_NAMESPACE, "--create-namespace")
    lab.helm("install", "edgetrain", CHART, *where, *values, *own, "--wait", "--timeout", "2m", timeout=130)


@pytest.fixture
def namespace(lab: Lab) -> Iterator[str]:
    with own_namespace(lab) as name:
        yield name
