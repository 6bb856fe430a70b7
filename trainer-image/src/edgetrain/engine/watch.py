"""Notices at once when a peer closes its connection, whatever an operation is blocked in."""

import select
import socket
import threading
from collections.abc import Callable


def watch(connections: list[socket.socket], closed: Callable[[str], None]) -> None:
    """Call `closed` with the peer's address, once, when the first of these is closed by either end.

    Waits on a thread of its own and reads nothing: the connections are Gloo's.
    """
    threading.Thread(target=_wait, args=(connections, closed), name="watch", daemon=True).start()


def _wait(connections: list[socket.socket], closed: Callable[[str], None]) -> None:
    peers = {connection.fileno(): _peer(connection) for connection in connections}
    poll = select.poll()
    for descriptor in peers:
        poll.register(descriptor, select.POLLRDHUP)
    first = poll.poll()[0][0] if peers else None
    for connection in connections:
        connection.close()
    if first is not None:
        closed(peers[first])


def _peer(connection: socket.socket) -> str:
    try:
        return str(connection.getpeername()[0])
    except OSError:
        return ""
