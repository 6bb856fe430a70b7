"""Serves this member's state to newcomers: a snapshot on demand, then each reduced gradient since.

Threads of its own, which hold no lock while they send: training only stops for the copy at its next loop
boundary.
"""

import contextlib
import socket
from collections.abc import Callable
from concurrent import futures

from edgetrain.acceptor import Acceptor, Prove
from edgetrain.credentials import Credentials
from edgetrain.engine.formation.echo import ECHO
from edgetrain.engine.state.snapshot import Snapshot
from edgetrain.engine.transfer.captures import Captures
from edgetrain.engine.transfer.pieces import send_tensors
from edgetrain.engine.transfer.replay_log import Entry, ReplayLog
from edgetrain.engine.transfer.wire import Wire, WireError
from edgetrain.link import Position

AUTHENTICATE_SECONDS = 10.0
SEND_SECONDS = 60.0
"""A newcomer that takes nothing, or asks for nothing, for so long is given up: its thread and snapshot must
not stay for good."""
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
        self._log, self._position = log, position
        self._captures = Captures(take_snapshot, position)
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
        with contextlib.ExitStack() as lent:
            while True:
                request, payload = wire.receive(REQUEST_BYTES, len(ECHO))
                # Who asks for something else has all of the snapshot that it was lent.
                lent.close()
                match request["want"]:
                    case "echo":
                        wire.send(self._front(), bytes(payload))
                    case "snapshot":
                        self._send_snapshot(wire, lent)
                    case "rest":
                        self._send_rest(wire, lent, str(request["snapshot"]), int(str(request["piece"])))
                    case "step":
                        self._send_step(wire, int(str(request["after"])))

    def _send_step(self, wire: Wire, after: int) -> None:
        try:
            with self._log.after(after, POLL_SECONDS) as entry:
                wire.send((_header(entry) if entry else {}) | self._front())
                if entry:
                    send_tensors(wire, [entry.total])
        except LookupError:
            wire.send({"gone": True, **self._front()})

    def _send_snapshot(self, wire: Wire, lent: contextlib.ExitStack) -> None:
        """Made beside: the newcomer hears meanwhile that we are there, and that its data get through."""
        asked = self._captures.ask()
        while not asked.done():
            futures.wait([asked], WAITING_SECONDS)
            if not asked.done():
                wire.send({"waiting": True})
        if error := asked.exception():
            wire.send({"failed": f"no snapshot could be made: {error}"})
            return
        captured = asked.result()
        lent.enter_context(self._captures.lend(captured))
        wire.send({"snapshot": captured.name, **self._front()}, captured.skeleton)
        send_tensors(wire, captured.tensors)

    def _send_rest(self, wire: Wire, lent: contextlib.ExitStack, name: str, piece: int) -> None:
        """Of one whose connection broke."""
        try:
            captured = self._captures.find(name)
        except LookupError:
            wire.send({"gone": True, **self._front()})
            return
        lent.enter_context(self._captures.lend(captured))
        wire.send(self._front())
        send_tensors(wire, captured.tensors, piece)

    def _front(self) -> dict[str, object]:
        position = self._position()
        return {"history": list(position.history), "front": position.committed}


def _header(entry: Entry) -> dict[str, object]:
    ledger = entry.ledger.to_json().decode()
    size = entry.total.numel()
    formation = entry.formation.to_json()
    return {
        "step": entry.step,
        "formation": formation,
        "ledger": ledger,
        "size": size,
        "kind": int(entry.kind),
    }
