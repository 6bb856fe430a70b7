"""Where the tests' programs are: where the lab's are, so that all tests use the same versions."""

import subprocess
from functools import cache
from pathlib import Path

from edgelab.programs.acquire import acquire
from edgelab.programs.pinned import MODULES, PROMETHEUS


@cache
def program(name: str) -> Path:
    """Path of kube-apiserver, etcd, kubectl, helm, prometheus or promtool. What is missing is got first,
    which may take minutes.

    Raises:
        edgelab.errors.LabError: it is nowhere to be had; the text says what to do.
    """
    return acquire(print, [PROMETHEUS] if name in PROMETHEUS.programs else MODULES)[name]


def helm(*args: str | Path, check: bool = True) -> subprocess.CompletedProcess[str]:
    """Run helm; with `check`, its failing is the test's."""
    done = subprocess.run([program("helm"), *args], capture_output=True, text=True, timeout=120)
    assert not check or done.returncode == 0, done.stderr
    return done
