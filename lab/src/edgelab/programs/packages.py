"""The distribution's packages that the lab needs."""

import os
import shutil
import subprocess
from collections.abc import Callable, Mapping
from pathlib import Path

from edgelab import node
from edgelab.errors import LabError

# A command that each package brings. One that is there by other means is as good.
RUNNING = {
    "containerd": "containerd",
    "ctr": "containerd",
    "runc": "runc",
    "nft": "nftables",
    "conntrack": "conntrack",
    "ip": "iproute2",
    "tc": "iproute2",
    "nsenter": "util-linux",
    "setpriv": "util-linux",
    "ldd": "libc-bin",
}
BUILDING = {"buildah": "buildah", "debootstrap": "debootstrap"}
"""Only for real images."""
_PLUGINS_PACKAGE = "containernetworking-plugins"


def missing_packages(commands: Mapping[str, str] = RUNNING) -> list[str]:
    """Debian's names of what is missing, each once."""
    missing = {package for command, package in commands.items() if not _finds(command)}
    if commands is RUNNING and not Path(node.cni_plugins(), "ptp").exists():
        missing.add(_PLUGINS_PACKAGE)
    return sorted(missing)


def install_packages(say: Callable[[str], None], commands: Mapping[str, str] = RUNNING) -> None:
    """Install what is missing, showing what apt-get says. Nothing happens where all is there.

    Raises:
        LabError: no apt-get here, or it failed; the text says what to install by hand.
    """
    missing = missing_packages(commands)
    if not missing:
        return
    if not _finds("apt-get"):
        raise LabError(
            f"missing: {', '.join(missing)} (Debian's names): install them with this machine's tools"
        )
    say(f"installing {', '.join(missing)}")
    # Only new packages: a developer's machine is not upgraded in passing.
    _apt_get("update", "-q")
    _apt_get("install", "-q", "-y", "--no-install-recommends", "--no-upgrade", *missing)
    if left := missing_packages(commands):
        raise LabError(f"apt-get installed them, yet {', '.join(left)} cannot be found: is PATH complete?")


def _apt_get(*arguments: str) -> None:
    environment = os.environ | {"DEBIAN_FRONTEND": "noninteractive"}
    done = subprocess.run(["apt-get", *arguments], env=environment, stdin=subprocess.DEVNULL)
    if done.returncode:
        raise LabError(f"`apt-get {' '.join(arguments)}` failed: see above, mend it, and run this again")


def _finds(command: str) -> bool:
    return shutil.which(command) is not None
