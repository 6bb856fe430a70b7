"""One lab for all tests of a session, and what tests need around it.

EDGELAB_TEST_NODES: how many edge nodes it has beside the cloud node (default 4).
"""

import os
import re
import uuid
from collections.abc import Callable, Iterator
from pathlib import Path

import pytest

from edgelab.config import NodeSpec
from edgelab.demo.install import install_operator
from edgelab.lab import Lab
from edgelab.network import labs_present
from tests.support.labs import own_namespace, running_lab

NodeFactory = Callable[..., NodeSpec]


@pytest.fixture(scope="session")
def lab() -> Iterator[Lab]:
    """A cloud node and unshaped edge nodes, `edge-1` and so on. Who changes a node puts it right again."""
    _remove_orphans()
    edge = [NodeSpec(name=f"edge-{n + 1}") for n in range(int(os.environ.get("EDGELAB_TEST_NODES", "4")))]
    with running_lab(f"test-{os.getpid()}", edge) as ours:
        yield ours


@pytest.fixture(scope="session")
def operator(lab: Lab) -> str:
    """The operator, installed on the cloud node as a person would; the fleet API's address."""
    return install_operator(lab, "cloud")


@pytest.fixture
def namespace(lab: Lab) -> Iterator[str]:
    with own_namespace(lab) as name:
        yield name


@pytest.fixture
def new_node(lab: Lab) -> Iterator[NodeFactory]:
    """Add nodes that are the test's own: `new_node(link="20mbit")`. Removed after the test."""
    added: list[str] = []

    def add(**fields: object) -> NodeSpec:
        spec = NodeSpec.model_validate({"name": f"n-{uuid.uuid4().hex[:6]}"} | fields)
        added.append(spec.name)
        lab.node_add(spec)
        return spec

    yield add
    lab.heal()
    for view in lab.status().nodes:
        if view.name in added:
            lab.node_remove(view.name)


def _remove_orphans() -> None:
    """End labs of sessions that were killed before they could."""
    for name in labs_present():
        session = re.fullmatch(r"test-(\d+)", name)
        if session and not Path(f"/proc/{session[1]}").exists():
            Lab(name).down()
