"""Listens on a port, and serves each caller in a thread of its own."""

import contextlib
import socket
import threading
from collections.abc import Callable


class Acceptor:
    """Serves a few callers at a time; more are turned away, so that nobody can use up threads."""

    def __init__(
        self, serve: Callable[[socket.socket], None], *, name: str, most: int, host: str = "", port: int = 0
    ) -> None:
        """`serve` gets the connection, which is closed after it; it may leave with OSError. Threads get the
        name. Without `host`, all addresses are listened on, of both families where the system has both."""
        self._serve, self._name = serve, name
        both = not host and socket.has_dualstack_ipv6()
        family = socket.AF_INET6 if both or ":" in host else socket.AF_INET
        self._listener = socket.create_server((host, port), family=family, dualstack_ipv6=both)
        self._free = threading.BoundedSemaphore(most)
        threading.Thread(target=self._accept, name=name, daemon=True).start()

    @property
    def port(self) -> int:
        """The port listened on, also where 0 was asked for."""
        return int(self._listener.getsockname()[1])

    def close(self) -> None:
        """Accept no more; who is being served is not disturbed."""
        # Only a shutdown frees a thread that waits in accept.
        with contextlib.suppress(OSError):
            self._listener.shutdown(socket.SHUT_RDWR)
        self._listener.close()

    def _accept(self) -> None:
        while True:
            try:
                connection, _ = self._listener.accept()
            except OSError:
                return
            if not self._free.acquire(blocking=False):
                connection.close()
                continue
            threading.Thread(
                target=self._attend, args=(connection,), name=f"{self._name}-caller", daemon=True
            ).start()

    def _attend(self, connection: socket.socket) -> None:
        try:
            with connection, contextlib.suppress(OSError):
                self._serve(connection)
        finally:
            self._free.release()
