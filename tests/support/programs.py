"""Where the tests' programs are: where the lab's are, so that all tests use the same versions."""

from functools import cache
from pathlib import Path

from edgelab.programs.acquire import acquire


@cache
def program(name: str) -> Path:
    """Path of kube-apiserver, etcd, kubectl or helm. What is missing is got first, which may take minutes.

    Raises:
        edgelab.errors.LabError: it is nowhere to be had; the text says what to do.
    """
    return acquire(print)[name]
