"""Where the tests' programs are: where the lab's are, so that all tests use the same versions.

EDGETRAIN_TEST_OLDEST: if set, API servers are of the oldest version supported.
"""

import os
import subprocess
from functools import cache
from pathlib import Path

from edgelab.programs.acquire import acquire, acquire_oldest_api_server
from edgelab.programs.pinned import KUBERNETES_VERSION, OLDEST_KUBERNETES_VERSION

OLDEST = bool(os.environ.get("EDGETRAIN_TEST_OLDEST"))
API_SERVER_VERSION = OLDEST_KUBERNETES_VERSION if OLDEST else KUBERNETES_VERSION


@cache
def program(name: str) -> Path:
    """Path of etcd, kubectl, helm or any other. What is missing is got first, which may take minutes.

    Raises:
        edgelab.errors.LabError: it is nowhere to be had; the text says what to do.
    """
    return acquire(print)[name]


@cache
def api_server() -> Path:
    """The kube-apiserver that tests run on; as `program`."""
    return acquire_oldest_api_server(print) if OLDEST else program("kube-apiserver")


def helm(*args: str | Path, check: bool = True) -> subprocess.CompletedProcess[str]:
    """Run helm; with `check`, its failing is the test's."""
    done = subprocess.run([program("helm"), *args], capture_output=True, text=True, timeout=120)
    assert not check or done.returncode == 0, done.stderr
    return done
