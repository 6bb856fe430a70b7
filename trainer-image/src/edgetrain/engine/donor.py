"""Serves this member's state to newcomers: a snapshot on demand, then each reduced gradient since.

Threads of its own: training only stops for the copy at its next loop boundary.
"""

import contextlib
import socket
import threading
from collections.abc import Callable

from edgetrain.engine.replay import Entry, ReplayLog
from edgetrain.engine.state import Snapshot, encode
from edgetrain.engine.wire import Wire, WireError
from edgetrain.local import Position

AUTHENTICATE_SECONDS = 10.0
SEND_SECONDS = 60.0
"""A newcomer that takes nothing for so long is given up: its thread and snapshot must not stay for good."""
POLL_SECONDS = 0.2


class Donor:
    """Listens from the start; answers nobody before it was told the token."""

    def __init__(
        self,
        port: int,
        log: ReplayLog,
        take_snapshot: Callable[[], Snapshot],
        position: Callable[[], Position],
    ) -> None:
        """`take_snapshot` waits for a loop boundary; both callables may be called from any thread."""
        self._log, self._take_snapshot, self._position = log, take_snapshot, position
        self._token = ""
        self._listener = socket.create_server(("", port), backlog=16)
        self.port: int = self._listener.getsockname()[1]
        threading.Thread(target=self._accept, name="donor", daemon=True).start()

    def set_token(self, token: str) -> None:
        self._token = token

    def close(self) -> None:
        with contextlib.suppress(OSError):
            self._listener.shutdown(socket.SHUT_RDWR)
        self._listener.close()

    def _accept(self) -> None:
        while True:
            try:
                connection, _ = self._listener.accept()
            except OSError:
                return
            threading.Thread(target=self._serve, args=(connection,), name="donor-client", daemon=True).start()

    def _serve(self, connection: socket.socket) -> None:
        with connection, contextlib.suppress(WireError, OSError, ValueError, KeyError):
            connection.settimeout(AUTHENTICATE_SECONDS)
            wire = Wire(connection)
            if not self._token:
                return
            wire.prove(self._token, server=True)
            connection.settimeout(SEND_SECONDS)
            while True:
                request, _ = wire.receive()
                self._answer(wire, request)

    def _answer(self, wire: Wire, request: dict[str, object]) -> None:
        if request["want"] == "snapshot":
            wire.send(self._front(), encode(self._take_snapshot()))
            return
        try:
            entry = self._log.after(int(str(request["after"])), POLL_SECONDS)
        except LookupError:
            wire.send({"gone": True, **self._front()})
            return
        if entry is None:
            wire.send(self._front())
        else:
            wire.send(_header(entry) | self._front(), entry.total.numpy().tobytes())

    def _front(self) -> dict[str, object]:
        position = self._position()
        return {"lineage": position.lineage, "front": position.committed}


def _header(entry: Entry) -> dict[str, object]:
    ledger = entry.ledger.to_json().decode()
    return {"step": entry.step, "formation": list(entry.formation), "ledger": ledger}
