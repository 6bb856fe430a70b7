"""A lab for the tests of a session or module, and namespaces in it."""

import uuid
from collections.abc import Iterator, Sequence
from contextlib import contextmanager

from edgelab.config import Images, LabConfig, NodeSpec
from edgelab.demo.install import make_namespace
from edgelab.lab import Lab


@contextmanager
def running_lab(name: str, edge: Sequence[NodeSpec], images: Images | None = None) -> Iterator[Lab]:
    """With a cloud node, `cloud`, and these; taken down in any case."""
    ours = Lab(name, say=print)
    try:
        ours.up(LabConfig(nodes=[NodeSpec(name="cloud", kind="cloud"), *edge]).running(images))
        yield ours
    finally:
        ours.down()


@contextmanager
def own_namespace(lab: Lab) -> Iterator[str]:
    """A namespace that enforces the `restricted` Pod Security standard, gone after the test."""
    name = f"t-{uuid.uuid4().hex[:8]}"
    make_namespace(lab, name)
    yield name
    lab.kubectl("delete", "namespace", name, "--wait=false")
    lab.kubectl("-n", name, "delete", "pods", "--all", "--force", "--grace-period=0")
