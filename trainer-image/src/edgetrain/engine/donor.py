"""Serves this member's state to newcomers: a snapshot on demand, then each reduced gradient since.

Threads of its own: training only stops for the copy at its next loop boundary.
"""

import contextlib
import socket
from collections.abc import Callable

from edgetrain.acceptor import Acceptor
from edgetrain.engine.replay import Entry, ReplayLog
from edgetrain.engine.state import Snapshot, encode
from edgetrain.engine.wire import Wire, WireError
from edgetrain.local import Position

AUTHENTICATE_SECONDS = 10.0
SEND_SECONDS = 60.0
"""A newcomer that takes nothing for so long is given up: its thread and snapshot must not stay for good."""
POLL_SECONDS = 0.2
MOST_NEWCOMERS = 16


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
        self._acceptor = Acceptor(self._serve, name="donor", most=MOST_NEWCOMERS, port=port)
        self.port = self._acceptor.port

    def set_token(self, token: str) -> None:
        self._token = token

    def close(self) -> None:
        self._acceptor.close()

    def _serve(self, connection: socket.socket) -> None:
        with contextlib.suppress(WireError, ValueError, KeyError):
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
