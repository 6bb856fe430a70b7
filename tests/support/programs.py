"""Where the tests' programs are: where the lab's are, so that all tests use the same versions.

EDGETRAIN_TEST_OLDEST: if set, API servers are of the oldest version supported.
"""

import os
import subprocess
from functools import cache
from pathlib import Path

from edgelab.programs.acquire import acquire
from edgelab.programs.pinned import KUBERNETES, MODULES, OLDEST_KUBERNETES, PROMETHEUS

OLDEST = bool(os.environ.get("EDGETRAIN_TEST_OLDEST"))
API_SERVER_VERSION = (OLDEST_KUBERNETES if OLDEST else KUBERNETES).kubernetes


@cache
def program(name: str) -> Path:
    """Path of etcd, kubectl, helm, prometheus or any other. What is missing is got first, which may take
    minutes.

    Raises:
        edgelab.errors.LabError: it is nowhere to be had; the text says what to do.
    """
    return acquire(print, [PROMETHEUS] if name in PROMETHEUS.programs else MODULES)[name]


@cache
def api_server() -> Path:
    """The kube-apiserver that tests run on; as `program`."""
    name = "kube-apiserver"
    return acquire(print, (OLDEST_KUBERNETES,))[name] if OLDEST else program(name)


def helm(*args: str | Path, check: bool = True) -> subprocess.CompletedProcess[str]:
    """Run helm; with `check`, its failing is the test's."""
    done = subprocess.run([program("helm"), *args], capture_output=True, text=True, timeout=120)
    assert not check or done.returncode == 0, done.stderr
    return done
