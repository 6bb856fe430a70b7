"""Bytes that a member's formations have carried, by scope, as the kernel counts them for each connection."""

import contextlib
import socket
import threading
import time
from collections.abc import Callable, Sequence
from dataclasses import dataclass

from edgetrain import tcp_info
from edgetrain.link import Form

LOOK_SECONDS = 1.0
"""Between two looks: a hundred members' connections are not to be asked at each of a hundred steps."""
SITE, WAN = "site", "wan"


@dataclass
class _Line:
    """A connection; it keeps what was read last when it has been closed."""

    connection: socket.socket
    scope: str
    sent: int = 0
    received: int = 0

    def look(self) -> None:
        if info := tcp_info.look(self.connection):
            self.sent, self.received = info.acked, info.received


class Traffic:
    """Any thread may call. What a connection carried in its last second may be missed."""

    def __init__(self, clock: Callable[[], float] = time.monotonic) -> None:
        self._clock, self._lock = clock, threading.Lock()
        self._lines: list[_Line] = []
        self._ended: dict[str, list[int]] = {}
        self._shown: dict[str, list[int]] = {}
        self._looked = float("-inf")

    def follow(self, connections: Sequence[socket.socket], form: Form) -> None:
        """Count the connections of a new formation from now on. The caller owns and closes them."""
        scopes = _scopes(form)
        lines = [_Line(one, scopes.get(_peer(one), SITE)) for one in connections]
        with self._lock:
            self._look()
            self._ended, self._lines = self._shown, lines
            self._looked = float("-inf")

    def carried(self) -> dict[str, list[int]]:
        """By scope, bytes sent and bytes received since this object was made."""
        with self._lock:
            if self._clock() - self._looked >= LOOK_SECONDS:
                self._look()
            return self._shown

    def _look(self) -> None:
        self._looked = self._clock()
        shown = {scope: list(counts) for scope, counts in self._ended.items()}
        for line in self._lines:
            line.look()
            counts = shown.setdefault(line.scope, [0, 0])
            counts[0] += line.sent
            counts[1] += line.received
        self._shown = shown


def _scopes(form: Form) -> dict[str, str]:
    """By a peer's address. Where no sites are told, all are one."""
    mine = form.members[form.rank].site
    return {peer.address: SITE if peer.site == mine else WAN for peer in form.members}


def _peer(connection: socket.socket) -> str:
    with contextlib.suppress(OSError):
        return str(connection.getpeername()[0])
    return ""
