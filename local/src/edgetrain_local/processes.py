"""Processes of ours and those that they have started, found and ended together."""

import contextlib
import ctypes
import os
import signal
from collections.abc import Iterable
from pathlib import Path

_PR_SET_PDEATHSIG, _PR_SET_CHILD_SUBREAPER = 1, 36
_libc = ctypes.CDLL(None)


def end_with_parent() -> None:
    """To be called in a child before it runs anything: it does not outlive us, whatever ends us."""
    _libc.prctl(_PR_SET_PDEATHSIG, signal.SIGKILL)


def adopt_orphans() -> None:
    """What our children leave behind becomes ours, so that it is found among our own."""
    _libc.prctl(_PR_SET_CHILD_SUBREAPER, 1)


def end_all() -> None:
    """Whatever we have started, and they have."""
    tell(family(os.getpid())[1:], signal.SIGKILL)


def family(pid: int) -> list[int]:
    """A process and all that descend from it, whatever sessions they have begun; it comes first."""
    children: dict[int, list[int]] = {}
    for stat in Path("/proc").glob("[0-9]*/stat"):
        with contextlib.suppress(OSError, ValueError, IndexError):
            # The name is in brackets, and may hold brackets and spaces itself.
            parent = int(stat.read_text().rpartition(")")[2].split()[1])
            children.setdefault(parent, []).append(int(stat.parent.name))
    found = [pid]
    for one in found:
        found += children.get(one, ())
    return found


def tell(pids: Iterable[int], number: signal.Signals) -> None:
    """Send all of them a signal; those that are gone already do not matter."""
    for pid in pids:
        with contextlib.suppress(ProcessLookupError, PermissionError):
            os.kill(pid, number)
