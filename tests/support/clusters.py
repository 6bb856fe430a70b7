"""Clusters to follow docs/install.md in: a lab, one in Docker that is made for it, or one that is there.

Of each it is said what the page asks for, KUBECONFIG, CLOUD and EDGES, and where kubectl and helm are.
"""

import os
import shutil
import subprocess
import tempfile
from collections.abc import Callable, Iterator, Mapping
from contextlib import AbstractContextManager, contextmanager
from dataclasses import dataclass
from pathlib import Path

from edgelab.config import NodeSpec
from tests.support.guide import Guide
from tests.support.labs import running_lab
from tests.support.programs import program

NAME = "edgetrain"
"""What the page calls clusters in Docker."""
ASKED = ("KUBECONFIG", "CLOUD", "EDGES")
EDGES = 3

Environment = Mapping[str, str]


class Unusable(Exception):
    """There can be no such cluster here; the text says what to do."""


@contextmanager
def lab() -> Iterator[Environment]:
    """A lab of its own, with the images that $EDGELAB_IMAGES says."""
    edges = [NodeSpec(name=f"edge-{number + 1}", link="50mbit") for number in range(EDGES)]
    with tempfile.TemporaryDirectory() as programs:
        for name in ("kubectl", "helm"):
            Path(programs, name).symlink_to(program(name))
        with running_lab(f"own-{os.getpid()}-guide", edges) as ours:
            yield {
                "KUBECONFIG": str(ours.kubeconfig),
                "CLOUD": "cloud",
                "EDGES": " ".join(edge.name for edge in edges),
                "PATH": f"{programs}:{os.environ['PATH']}",
            }


@dataclass(frozen=True)
class Maker:
    """A tool that makes clusters in Docker. Its heading in the page is its name."""

    name: str
    list_names: tuple[str, ...]
    """Prints a line for each cluster, which begins with its name."""
    delete: tuple[str, ...]


KIND = Maker("kind", ("kind", "get", "clusters"), ("kind", "delete", "cluster", "--name", NAME))
K3D = Maker("k3d", ("k3d", "cluster", "list", "--no-headers"), ("k3d", "cluster", "delete", NAME))


@contextmanager
def in_docker(maker: Maker) -> Iterator[Environment]:
    """A cluster made as the page says, with a kubeconfig of its own; taken down in any case.

    Raises:
        Unusable: a program is missing, Docker does not answer, or there is a cluster of that name.
    """
    check_usable(maker)
    with tempfile.TemporaryDirectory() as directory:
        own = {"KUBECONFIG": str(Path(directory, "kubeconfig"))}
        try:
            said = Guide(own).follow(maker.name, then='printf "%s\\n%s\\n" "$CLOUD" "$EDGES"')
            cloud, edges = said.splitlines()[-2:]
            yield own | {"CLOUD": cloud, "EDGES": edges}
        finally:
            subprocess.run(maker.delete, env={**os.environ, **own}, check=True)


def check_usable(maker: Maker) -> None:
    needed = ("docker", maker.name, "kubectl", "helm")
    if missing := [name for name in needed if not shutil.which(name)]:
        raise Unusable(
            f"needs {', '.join(missing)}: install what is missing, or `make test-lab` without Docker"
        )
    docker = subprocess.run(["docker", "info"], capture_output=True, text=True)
    if docker.returncode:
        raise Unusable(f"Docker does not answer: {docker.stderr.strip()}")
    names = subprocess.run(maker.list_names, capture_output=True, text=True, check=True).stdout
    if any(line.split()[:1] == [NAME] for line in names.splitlines()):
        command = " ".join(maker.delete)
        raise Unusable(f"a cluster {NAME} is there already, and would be lost: `{command}` if it may be")


@contextmanager
def given() -> Iterator[Environment]:
    """One that is there, and stays.

    Raises:
        Unusable: it is not said which.
    """
    if missing := [name for name in ASKED if not os.environ.get(name)]:
        raise Unusable(f"set {', '.join(missing)}: docs/install.md says to what")
    yield {name: os.environ[name] for name in ASKED}


CLUSTERS: Mapping[str, Callable[[], AbstractContextManager[Environment]]] = {
    "lab": lab,
    "kind": lambda: in_docker(KIND),
    "k3d": lambda: in_docker(K3D),
    "given": given,
}
