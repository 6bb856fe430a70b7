"""Listens on a port, and serves each caller in a thread of its own."""

import contextlib
import socket
import threading
import time
from collections.abc import Callable

from edgetrain_protocol.crowd import Crowd
from edgetrain_protocol.listening import listen

MOST_STRANGERS = 32
"""Callers who have proved nothing. One more, and another of them goes: slow ones must not lock others out."""
STRANGER_SECONDS = 10.0
"""In all, however the bytes drip in: the time that somebody may take who has proved nothing."""
_LOOK_SECONDS = 1.0
_RETRY_SECONDS = 0.2

Prove = Callable[[], None]
"""Called once the caller has proved that it may ask; raises ConnectionError where there is no room for it."""


class Acceptor:
    """Serves a few callers at a time, and of those who have proved nothing a few more, for a while."""

    def __init__(
        self,
        serve: Callable[[socket.socket, Prove], None],
        *,
        name: str,
        most: int = 0,
        host: str = "",
        port: int = 0,
    ) -> None:
        """
        Args:
            serve: gets the connection, which is closed after it; it may leave with OSError.
            name: of the threads.
            most: how many callers may have proved that they may ask; more are turned away.
            host: the address to listen on; without one all are, of both families where the system has both.

        Raises:
            OSError: the port is taken.
        """
        self._serve, self._name, self._most = serve, name, most
        self._listener = listen(host, port)
        self._closing = threading.Event()
        self._lock = threading.Lock()
        self._strangers: Crowd[socket.socket] = Crowd(MOST_STRANGERS)
        self._since: dict[socket.socket, float] = {}
        self._proved: set[socket.socket] = set()
        threading.Thread(target=self._accept, name=name, daemon=True).start()

    @property
    def port(self) -> int:
        """The port listened on, also where 0 was asked for."""
        return int(self._listener.getsockname()[1])

    def close(self) -> None:
        """Accept no more; who is being served is not disturbed."""
        self._closing.set()
        # Only a shutdown frees a thread that waits in accept.
        with contextlib.suppress(OSError):
            self._listener.shutdown(socket.SHUT_RDWR)
        self._listener.close()

    def _accept(self) -> None:
        while not self._closing.is_set():
            try:
                self._listener.settimeout(_LOOK_SECONDS if self._hurry() else None)
                connection, whence = self._listener.accept()
            except TimeoutError:
                continue
            except OSError:
                # Out of descriptors, or a caller that left in the queue: it passes, and we still listen.
                self._closing.wait(_RETRY_SECONDS)
                continue
            self._admit(connection, str(whence[0]))

    def _hurry(self) -> int:
        """End strangers whose time is over; returns how many there still are."""
        with self._lock:
            late = time.monotonic() - STRANGER_SECONDS
            for stranger in [s for s in self._strangers.everybody() if self._since[s] < late]:
                self._strangers.leave(stranger)
                _end(stranger)
            return len(self._strangers)

    def _admit(self, connection: socket.socket, address: str) -> None:
        with self._lock:
            self._since[connection] = time.monotonic()
            goes = self._strangers.enter(connection, address)
            if goes:
                _end(goes)
        attend = threading.Thread(target=self._attend, args=(connection,), name=f"{self._name}-caller")
        attend.daemon = True
        attend.start()

    def _attend(self, connection: socket.socket) -> None:
        try:
            with connection, contextlib.suppress(OSError):
                self._serve(connection, lambda: self._prove(connection))
        finally:
            with self._lock:
                self._strangers.leave(connection)
                self._proved.discard(connection)
                del self._since[connection]

    def _prove(self, connection: socket.socket) -> None:
        with self._lock:
            if connection not in self._strangers:
                raise ConnectionError("it took too long to prove that it may ask")
            if len(self._proved) >= self._most:
                raise ConnectionError("as many are served as there may be")
            self._strangers.leave(connection)
            self._proved.add(connection)


def _end(connection: socket.socket) -> None:
    """Not closed: its thread waits in it, and sees the end of the stream."""
    with contextlib.suppress(OSError):
        connection.shutdown(socket.SHUT_RDWR)
