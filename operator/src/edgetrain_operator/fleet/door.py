"""Who may hold a connection to one of the operator's ports: bounded in number, by address, and in time until
a token was shown.

In front of TLS, whose buffers are most of what a connection costs: a limit of the HTTP server's would come
after them.
"""

import asyncio
import contextlib
import gc
import logging
import resource
import socket
from collections.abc import Callable
from typing import Any, NamedTuple

from edgetrain_protocol.crowd import Crowd
from edgetrain_protocol.descriptors import raise_limit
from edgetrain_protocol.listening import listen

log = logging.getLogger(__name__)

KEPT_DESCRIPTORS = 256
"""What the operator itself needs of them: its own requests, logs, certificates."""
ENDING = 64
"""Connections that have been put out and are not closed yet: with so many nobody else is let in."""
SWEEP_AFTER = 512
"""So many were put out: it is time to free what they have left."""
Address = tuple[str, int]


class Room(NamedTuple):
    """How many connections a port may have."""

    strangers: int
    """Who have proved nothing."""
    guests: int
    """Who have."""


def room_within(wished: Room) -> Room:
    """What there is of this with as many files as the system lets this process open; the limit is raised to
    what may be had without rights. Strangers alone must not be able to take all.
    """
    hard = raise_limit()
    part = 1.0 if hard == resource.RLIM_INFINITY else (hard - KEPT_DESCRIPTORS) / sum(wished)
    if part >= 1:
        return wished
    room = Room(*(max(1, int(part * number)) for number in wished))
    log.warning(
        "%d open files are allowed: room for %d connections of workers, not %d",
        hard,
        room.guests,
        wished.guests,
    )
    return room


class Door:
    """Lets connections in, and ends those that there is no room for or that prove nothing in time.

    All methods are called in one event loop's thread.
    """

    def __init__(self, room: Room, *, seconds: float) -> None:
        """`seconds`: how long somebody may be connected without proving anything."""
        self._strangers: Crowd[Address] = Crowd(room.strangers)
        self._guests: Crowd[Address] = Crowd(room.guests)
        self._seconds = seconds
        self._connections: dict[Address, _Connection] = {}
        self.ended = 0
        """Connections that were ended since there was no room, or no proof in time."""

    @property
    def connected(self) -> dict[str, int]:
        """How many there are of each kind."""
        return {"stranger": len(self._strangers), "guest": len(self._guests)}

    def is_guest(self, address: Address | None) -> bool:
        return address is not None and address in self._guests

    def listen(self, host: str, port: int) -> socket.socket:
        """A listening socket, for an asyncio server; on all addresses where no `host` is given.

        Raises:
            OSError: the port is taken.
        """
        with listen(host, port) as plain:
            listener = _Listener(plain.family, plain.type, plain.proto, fileno=plain.detach())
        listener.busy = self._busy
        listener.enter = self._enter
        listener.leave = self._leave
        return listener

    def prove(self, address: Address | None) -> None:
        """Whoever is connected from this address and port has shown a token that we made."""
        if address is not None and address in self._strangers:
            self._strangers.leave(address)
            self._end(self._guests.enter(address, address[0]))

    def _busy(self) -> bool:
        return len(self._connections) - len(self._strangers) - len(self._guests) >= ENDING

    def _enter(self, connection: "_Connection", address: Address) -> None:
        # Whoever had this port before has proved nothing for whoever has it now.
        self._guests.leave(address)
        self._connections[address] = connection
        self._end(self._strangers.enter(address, address[0]))
        connection.hurry = asyncio.get_running_loop().call_later(self._seconds, self._hurry, address)

    def _hurry(self, address: Address) -> None:
        if address in self._strangers:
            self._strangers.leave(address)
            self._end(address)

    def _leave(self, connection: "_Connection", address: Address) -> None:
        # A flood would leave its timers behind, and what they hold.
        if connection.hurry:
            connection.hurry.cancel()
        # Its port may have been given to somebody new since.
        if self._connections.get(address) is connection:
            del self._connections[address]
            self._strangers.leave(address)
            self._guests.leave(address)

    def _end(self, address: Address | None) -> None:
        if address is None or (connection := self._connections.get(address)) is None:
            return
        self.ended += 1
        if self.ended % SWEEP_AFTER == 0:
            # Each leaves 90 KB, tied together by the error that its handshake ended with: they stay until
            # Python looks for such, which it does when a quarter of all there is has come since.
            gc.collect()
        # Not closed: that is for its transport, which sees the end of the stream now.
        with contextlib.suppress(OSError):
            connection.shutdown(socket.SHUT_RDWR)


class _Connection(socket.socket):
    """Says when it is closed."""

    on_close: Callable[[], None] | None = None
    hurry: asyncio.TimerHandle | None = None
    """What ends it where it proves nothing in time."""

    def close(self) -> None:
        super().close()
        if self.on_close:
            self.on_close()
            self.on_close = None


class _Listener(socket.socket):
    """asyncio asks its listening socket for each connection: the one place before TLS begins."""

    busy: Callable[[], bool]
    enter: Callable[[_Connection, Address], None]
    leave: Callable[[_Connection, Address], None]

    def accept(self) -> tuple[socket.socket, Any]:
        if self.busy():
            # As if nobody were there: asyncio lets in all who wait, at once, before any whom that puts out
            # is closed.
            raise BlockingIOError
        plain, whence = super().accept()
        connection = _Connection(plain.family, plain.type, plain.proto, fileno=plain.detach())
        address = (str(whence[0]), int(whence[1]))
        connection.on_close = lambda: self.leave(connection, address)
        self.enter(connection, address)
        return connection, whence
