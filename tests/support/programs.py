"""Where the tests' programs are: what the lab keeps, so that all tests use the same versions."""

import os
from pathlib import Path

from edgelab.programs.acquire import find
from edgelab.programs.pinned import HELM, KUBERNETES


def program(name: str) -> Path:
    """Path of kube-apiserver, etcd, kubectl or helm.

    Raises:
        FileNotFoundError: it is nowhere; the text says what to do.
    """
    given = Path(os.environ.get("KUBEBUILDER_ASSETS", "/nonexistent")) / name
    module = HELM if name in HELM.programs else KUBERNETES
    found = given if given.is_file() else find(module, name)
    if found is None:
        raise FileNotFoundError(
            f"{name} is neither in KUBEBUILDER_ASSETS nor in {module.cache}: run `make lab-setup`"
        )
    return found
