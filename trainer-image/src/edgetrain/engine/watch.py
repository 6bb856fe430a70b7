"""Notices when a connection to a peer ends, whatever an operation is blocked in.

At once where the peer closes it; within SILENT_SECONDS where the path died without a word, as when a
NAT forgets it: heartbeats may still come by another connection, and Gloo alone would wait for ever.
"""

import contextlib
import select
import socket
import threading
from collections.abc import Callable

SILENT_SECONDS = 20
"""The longest that the other end's kernel is not heard from while it is asked. A hung or busy program
does not count: its kernel answers."""
IDLE_SECONDS, ASK_SECONDS = 5, 5
"""A connection idle for so long is asked whether it is there, and again every so often."""


def watch(connections: list[socket.socket], closed: Callable[[str], None]) -> None:
    """Call `closed` with the peer's address, once, when the first of these is closed by either end.

    Waits on a thread of its own and reads nothing: the connections are Gloo's.
    """
    threading.Thread(target=_wait, args=(connections, closed), name="watch", daemon=True).start()


def _wait(connections: list[socket.socket], closed: Callable[[str], None]) -> None:
    peers = {connection.fileno(): _peer(connection) for connection in connections}
    poll = select.poll()
    for connection in connections:
        _ask_when_silent(connection)
        poll.register(connection.fileno(), select.POLLRDHUP)
    first = poll.poll()[0][0] if peers else None
    for connection in connections:
        connection.close()
    if first is not None:
        closed(peers[first])


def _ask_when_silent(connection: socket.socket) -> None:
    with contextlib.suppress(OSError):
        connection.setsockopt(socket.SOL_SOCKET, socket.SO_KEEPALIVE, 1)
        connection.setsockopt(socket.IPPROTO_TCP, socket.TCP_KEEPIDLE, IDLE_SECONDS)
        connection.setsockopt(socket.IPPROTO_TCP, socket.TCP_KEEPINTVL, ASK_SECONDS)
        # Also for bytes on their way that nobody acknowledges, where keep-alive does not ask.
        connection.setsockopt(socket.IPPROTO_TCP, socket.TCP_USER_TIMEOUT, SILENT_SECONDS * 1000)


def _peer(connection: socket.socket) -> str:
    try:
        return str(connection.getpeername()[0])
    except OSError:
        return ""
