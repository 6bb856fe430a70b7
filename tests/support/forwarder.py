"""A TCP forwarder on loopback that can freeze (connections stay open, and nothing comes through), break, or
carry little at a time."""

import socket
import threading
import time
from collections.abc import Iterator
from contextlib import contextmanager, suppress


class Forwarder:
    def __init__(self, target: tuple[str, int]) -> None:
        self._target = target
        self._listener = socket.create_server(("127.0.0.1", 0))
        self._flows = threading.Event()
        self._flows.set()
        self._sockets: list[socket.socket] = []
        self._ended: set[socket.socket] = set()
        self.carried = self.carried_forth = 0
        """Bytes that have come back from the target, and that have gone to it."""
        self.break_at: int | None = None
        """When so many have, whatever is open ends; once."""
        self.bytes_per_second: float | None = None
        self.forth_bytes_per_second: float | None = None
        threading.Thread(target=self._accept, daemon=True).start()

    @property
    def port(self) -> int:
        return int(self._listener.getsockname()[1])

    def freeze(self) -> None:
        self._flows.clear()

    def thaw(self) -> None:
        self._flows.set()

    def end_all(self) -> None:
        """What is open; others may connect again."""
        # Who is cut off connects again while the others are ended, and such a connection is not one of these.
        now_open = tuple(self._sockets)
        self._ended.update(now_open)
        for each in now_open:
            with suppress(OSError):
                each.shutdown(socket.SHUT_RDWR)

    def close(self) -> None:
        self._flows.set()
        with suppress(OSError):
            self._listener.shutdown(socket.SHUT_RDWR)
        self.end_all()
        for each in (self._listener, *self._sockets):
            each.close()

    def _accept(self) -> None:
        with suppress(OSError):
            while True:
                near, _ = self._listener.accept()
                far = socket.create_connection(self._target)
                self._sockets += [near, far]
                for one, other in ((near, far), (far, near)):
                    threading.Thread(target=self._pump, args=(one, other, one is far), daemon=True).start()

    def _pump(self, source: socket.socket, sink: socket.socket, back: bool) -> None:
        try:
            while data := source.recv(16384 if self._pace(back) else 65536):
                self._flows.wait()
                if pace := self._pace(back):
                    time.sleep(len(data) / pace)
                sink.sendall(data)
                self.carried += len(data) if back else 0
                self.carried_forth += 0 if back else len(data)
                if self.break_at is not None and self.carried >= self.break_at:
                    self.break_at = None
                    self.end_all()
            sink.shutdown(socket.SHUT_WR)
        except OSError:
            self._ended.add(source)
        if source in self._ended:
            # By its own thread. Who still writes to it hears so: what is only shut down takes more, unread.
            source.close()

    def _pace(self, back: bool) -> float | None:
        return self.bytes_per_second if back else self.forth_bytes_per_second


@contextmanager
def forwarding(host: str, port: int) -> Iterator[Forwarder]:
    forwarder = Forwarder((host, port))
    try:
        yield forwarder
    finally:
        forwarder.close()
