"""All set-up in one call."""

import os
import platform
from collections.abc import Callable, Sequence
from pathlib import Path

from edgelab.errors import LabError
from edgelab.programs.acquire import Programs, acquire
from edgelab.programs.packages import install_packages
from edgelab.programs.pinned import MODULES, Module

_INOTIFY_INSTANCES = Path("/proc/sys/fs/inotify/max_user_instances")
_WANTED_INSTANCES = 1024


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


def raise_limits(say: Callable[[str], None]) -> None:
    """Allow as many inotify instances as labs need. It stays so until the machine is restarted.

    Linux allows 128 to all of a user's processes together; each node's daemons take eight.
    """
    allowed = int(_INOTIFY_INSTANCES.read_text())
    if allowed < _WANTED_INSTANCES:
        say(f"raising fs.inotify.max_user_instances from {allowed} to {_WANTED_INSTANCES}")
        _INOTIFY_INSTANCES.write_text(str(_WANTED_INSTANCES))


def set_up(say: Callable[[str], None], modules: Sequence[Module] = MODULES) -> Programs:
    """Install the packages and get the programs that are missing. With all there, takes milliseconds.

    Raises:
        LabError: something can neither be found nor installed; the text says what to do.
    """
    check_machine()
    raise_limits(say)
    install_packages(say)
    return acquire(say, modules)
