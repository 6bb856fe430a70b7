"""Links with a rate: a network of our own, in which each node has a namespace, and no root is needed.

A router between point-to-point links, as in the lab: what passes between two nodes passes both of theirs.
"""

import os
import shutil
import subprocess
import sys
from collections.abc import Sequence
from pathlib import Path

from edgelab.errors import LabError
from edgelab.rates import Link
from edgelab.shell import run, succeeds
from edgetrain_local.errors import RunError
from edgetrain_local.pod import Place
from edgetrain_local.processes import end_with_parent
from edgetrain_local.wish import WorkerWish
from edgetrain_operator.core.worker_env import USUAL_PORTS

HUB = "10.77.0.1"
INSIDE = "EDGETRAIN_RUN_INSIDE"
"""Set in the command's environment once it runs in a network of its own."""
_DEVICE = "eth0"


def enter_own_network(arguments: Sequence[str]) -> None:
    """Go on as the same command in a network namespace of its own; returns where it is in one already.

    Raises:
        RunError: this machine does not let us have one.
    """
    if os.environ.get(INSIDE):
        return
    missing = [tool for tool in ("unshare", "nsenter", "ip", "tc") if not shutil.which(tool)]
    if missing:
        raise RunError(f"--link needs {', '.join(missing)}: install iproute2 and util-linux, or leave it out")
    unshare = ["unshare", "--net", *([] if os.geteuid() == 0 else ["--user", "--map-root-user"])]
    if not succeeds([*unshare, "ip", "link", "add", "name", "try0", "type", "veth", "peer", "name", "try1"]):
        raise RunError(
            "--link: this machine gives no network of one's own to this user: run it as root, or leave it out"
        )
    os.environ[INSIDE] = "1"
    os.execvp(unshare[0], [*unshare, sys.executable, "-P", "-m", "edgetrain_local", *arguments])


class Wires:
    """Of all nodes; gone with this process."""

    def __init__(self) -> None:
        self._holders: list[subprocess.Popen[bytes]] = []
        try:
            run(["ip", "link", "set", "lo", "up"])
            Path("/proc/sys/net/ipv4/ip_forward").write_text("1")
        except (LabError, OSError) as error:
            raise RunError(f"--link: no network of our own: {error}") from error

    def place(self, wish: WorkerWish, number: int, directory: Path) -> Place:
        """A namespace and a link for this node.

        Raises:
            RunError: they cannot be had.
        """
        # Whoever holds a namespace open has to live: it would be gone with its last process.
        holder = subprocess.Popen(
            ["unshare", "--net", "sh", "-c", "echo; exec sleep infinity"],
            stdout=subprocess.PIPE,
            preexec_fn=end_with_parent,
        )
        self._holders.append(holder)
        assert holder.stdout is not None
        holder.stdout.readline()
        inside = ("nsenter", f"--target={holder.pid}", "--net", "--")
        address, port = f"10.77.0.{number + 1}", f"n{number}"
        try:
            _connect(holder.pid, inside, port, address)
            if wish.link:
                _shape((), port, wish.link)
                _shape(inside, _DEVICE, wish.link)
        except LabError as error:
            raise RunError(f"--link: {error}") from error
        return Place(address, USUAL_PORTS, directory, inside=inside)

    def close(self) -> None:
        for holder in self._holders:
            holder.kill()
            holder.wait()
            assert holder.stdout is not None
            holder.stdout.close()


def _connect(pid: int, inside: Sequence[str], port: str, address: str) -> None:
    run(["ip", "link", "add", "name", port, "type", "veth", "peer", "name", _DEVICE, "netns", str(pid)])
    run(["ip", "address", "add", f"{HUB}/32", "dev", port])
    run(["ip", "link", "set", port, "up"])
    run(["ip", "route", "add", f"{address}/32", "dev", port])
    for words in (
        ["link", "set", "lo", "up"],
        ["address", "add", f"{address}/32", "dev", _DEVICE],
        ["link", "set", _DEVICE, "up"],
        ["route", "add", "default", "via", HUB, "dev", _DEVICE, "onlink"],
    ):
        run([*inside, "ip", *words])


def _shape(inside: Sequence[str], device: str, link: Link) -> None:
    run([*inside, "tc", "qdisc", "add", "dev", device, "root", "tbf", *link.sizes])
