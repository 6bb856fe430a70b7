"""Serves this member's state to newcomers: a snapshot on demand, then each reduced gradient since.

Threads of its own: training only stops for the copy at its next loop boundary.
"""

import contextlib
import socket
import threading
from collections.abc import Callable

from edgetrain.acceptor import Acceptor, Prove
from edgetrain.credentials import Credentials
from edgetrain.engine.formation.echo import ECHO
from edgetrain.engine.state.snapshot import Snapshot, encode
from edgetrain.engine.transfer.replay_log import Entry, ReplayLog
from edgetrain.engine.transfer.wire import Frame, Wire, WireError, frame
from edgetrain.link import Position

AUTHENTICATE_SECONDS = 10.0
SEND_SECONDS = 60.0
"""A newcomer that takes nothing for so long is given up: its thread and snapshot must not stay for good."""
UNHEARD_SECONDS = 10
"""The same of one whose kernel acknowledges nothing: by then it tries again, or elsewhere."""
POLL_SECONDS = 0.2
WAITING_SECONDS = 1.0
"""So often a newcomer is told that its snapshot waits for the loop's boundary."""
MOST_NEWCOMERS = 16
REQUEST_BYTES = 4096


class Donor:
    """Listens from the start."""

    def __init__(
        self,
        port: int,
        credentials: Credentials,
        log: ReplayLog,
        take_snapshot: Callable[[], Snapshot],
        position: Callable[[], Position],
    ) -> None:
        """`take_snapshot` waits for a loop boundary; both callables may be called from any thread."""
        self._log, self._take_snapshot, self._position = log, take_snapshot, position
        self._credentials = credentials
        self._acceptor = Acceptor(self._serve, name="donor", most=MOST_NEWCOMERS, port=port)
        self.port = self._acceptor.port

    def close(self) -> None:
        self._acceptor.close()

    def _serve(self, connection: socket.socket, prove: Prove) -> None:
        with contextlib.suppress(WireError, ValueError, KeyError):
            connection.settimeout(AUTHENTICATE_SECONDS)
            connection.setsockopt(socket.IPPROTO_TCP, socket.TCP_USER_TIMEOUT, UNHEARD_SECONDS * 1000)
            with self._credentials.admit(connection) as secured:
                prove()
                secured.settimeout(SEND_SECONDS)
                self._converse(Wire(secured))

    def _converse(self, wire: Wire) -> None:
        while True:
            request, payload = wire.receive(REQUEST_BYTES, len(ECHO))
            if request["want"] == "echo":
                wire.send(self._front(), memoryview(payload))
            else:
                self._answer(wire, request)

    def _answer(self, wire: Wire, request: dict[str, object]) -> None:
        if request["want"] == "snapshot":
            self._send_snapshot(wire)
            return
        try:
            with self._log.after(int(str(request["after"])), POLL_SECONDS) as entry:
                header = _header(entry) if entry else {}
                payload = entry.total.numpy().tobytes() if entry else b""
        except LookupError:
            wire.send({"gone": True, **self._front()})
            return
        wire.send(header | self._front(), payload)

    def _send_snapshot(self, wire: Wire) -> None:
        """Made beside: the newcomer hears meanwhile that we are there, and that its data get through."""
        made: list[Frame] = []

        def make() -> None:
            snapshot = encode(self._take_snapshot())
            made.append(frame(self._front(), snapshot))

        maker = threading.Thread(target=make, name="snapshot", daemon=True)
        maker.start()
        while maker.is_alive():
            maker.join(WAITING_SECONDS)
            if maker.is_alive():
                wire.send({"waiting": True})
        if not made:
            raise WireError("no snapshot could be made")
        wire.push(made[0])

    def _front(self) -> dict[str, object]:
        position = self._position()
        return {"history": list(position.history), "front": position.committed}


def _header(entry: Entry) -> dict[str, object]:
    ledger = entry.ledger.to_json().decode()
    return {"step": entry.step, "formation": entry.formation.to_json(), "ledger": ledger}
