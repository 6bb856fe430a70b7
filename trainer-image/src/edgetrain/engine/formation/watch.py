"""Notices when a connection to a peer ends or carries nothing, whatever an operation is blocked in.

That it ended: at once where the peer closes it; within SILENT_SECONDS where the path died without a word and
nobody acts on its carrying nothing. Heartbeats may still come by another connection, and Gloo alone would
wait for ever.
"""

import contextlib
import select
import socket
import threading
import time
from collections.abc import Callable

from edgetrain import tcp_info
from edgetrain.engine.formation.silence import ASK_SECONDS, LOOK_SECONDS, Silence, is_stuck, listen

SILENT_SECONDS = 20
"""The longest that the other end's kernel is not heard from while it is asked. A hung or busy program
does not count: its kernel answers."""

Addresses = frozenset[str]


def watch(
    connections: list[socket.socket], closed: Callable[[str], None], stuck: Callable[[Addresses], None]
) -> None:
    """Call `closed` with the peer's address, once, when the first of these is closed by either end.

    Until then call `stuck` with the addresses to which nothing gets through, whenever they have changed.
    Waits on a thread of its own and reads nothing: the connections are Gloo's.
    """
    lines = [_Line(connection) for connection in connections]
    threading.Thread(target=_wait, args=(lines, closed, stuck), name="watch", daemon=True).start()


class _Line:
    """A connection, and how long it has been silent."""

    def __init__(self, connection: socket.socket) -> None:
        self.connection, self.peer = connection, _peer(connection)
        self._silence: Silence | None = None

    def is_stuck(self, passed: float) -> bool:
        """After another look, `passed` seconds after the last."""
        info = tcp_info.look(self.connection)
        if info is None:
            return False
        self._silence = listen(self._silence, info, passed)
        return is_stuck(self._silence, info)


def _wait(lines: list[_Line], closed: Callable[[str], None], stuck: Callable[[Addresses], None]) -> None:
    poll = select.poll()
    for line in lines:
        _ask_when_silent(line.connection)
        poll.register(line.connection.fileno(), select.POLLRDHUP)
    first = _look_until_closed(lines, poll, stuck) if lines else None
    for line in lines:
        line.connection.close()
    if first is not None:
        closed(first.peer)


def _look_until_closed(lines: list[_Line], poll: select.poll, stuck: Callable[[Addresses], None]) -> _Line:
    told: Addresses = frozenset()
    looked = time.monotonic()
    while not (ended := poll.poll(1000 * LOOK_SECONDS)):
        now = time.monotonic()
        silent = frozenset([line.peer for line in lines if line.is_stuck(now - looked)])
        looked = now
        if silent != told:
            told = silent
            stuck(silent)
    return next(line for line in lines if line.connection.fileno() == ended[0][0])


def _ask_when_silent(connection: socket.socket) -> None:
    with contextlib.suppress(OSError):
        connection.setsockopt(socket.SOL_SOCKET, socket.SO_KEEPALIVE, 1)
        connection.setsockopt(socket.IPPROTO_TCP, socket.TCP_KEEPIDLE, ASK_SECONDS)
        connection.setsockopt(socket.IPPROTO_TCP, socket.TCP_KEEPINTVL, ASK_SECONDS)
        # Also for bytes on their way that nobody acknowledges, where keep-alive does not ask.
        connection.setsockopt(socket.IPPROTO_TCP, socket.TCP_USER_TIMEOUT, SILENT_SECONDS * 1000)


def _peer(connection: socket.socket) -> str:
    try:
        return str(connection.getpeername()[0])
    except OSError:
        return ""
