"""All set-up in one call."""

import os
import platform
from collections.abc import Callable

from edgelab.errors import LabError
from edgelab.programs.acquire import Programs, acquire
from edgelab.programs.packages import install_packages


def check_machine() -> None:
    """Whether a lab can run here at all.

    Raises:
        LabError: not Linux, or not root.
    """
    if platform.system() != "Linux":
        raise LabError(
            "the lab needs Linux (namespaces, control groups): use a Linux machine or a virtual one"
        )
    if os.geteuid():
        raise LabError("the lab needs root (it makes network namespaces and mounts): run it with sudo")


def set_up(say: Callable[[str], None]) -> Programs:
    """Install the packages and get the programs that are missing. With all there, takes milliseconds.

    Raises:
        LabError: something can neither be found nor installed; the text says what to do.
    """
    check_machine()
    install_packages(say)
    return acquire(say)
