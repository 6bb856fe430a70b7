"""Fetches a donor's state and follows its committed steps, on a thread of its own.

The program's thread takes what has come at its loop's boundaries, so that schedulers and any
optimiser move exactly as they did on the donor.
"""

import logging
import socket
import threading
import time
from collections import deque
from dataclasses import dataclass
from typing import Any

import torch

from edgetrain.credentials import Credentials
from edgetrain.engine.formation.echo import ECHO
from edgetrain.engine.monitor import Monitor
from edgetrain.engine.state.ledger import Ledger
from edgetrain.engine.state.snapshot import Snapshot
from edgetrain.engine.step_kind import StepKind
from edgetrain.engine.transfer.pieces import Arriving
from edgetrain.engine.transfer.replay_log import Entry
from edgetrain.engine.transfer.skeleton import put_together, read_skeleton
from edgetrain.engine.transfer.wire import Wire, WireError
from edgetrain.link import FormationId, Peer, Position
from edgetrain_protocol.history import NO_HISTORY, history_from

log = logging.getLogger(__name__)

AHEAD = 4
"""Steps held ready: enough to keep the program busy."""
CONNECT_SECONDS = 5.0
SILENCE_SECONDS = 5.0
"""Without a byte: a donor says every second that it is there, whatever it waits for."""
BOUNDARY_SECONDS = 60.0
"""A donor captures at its next loop boundary: a long step is no failure."""
RETRY_SECONDS = 0.2
FAR = 8
"""Steps behind at which a snapshot is less to carry, and sooner done, than all those steps: a step is as
many bytes as the parameters, a snapshot two or three times as many; the donor stops for a copy only."""
NEAR = 2
"""Steps behind at which one has caught up: the others wait at their boundary for so few."""
PATIENCE_SECONDS = 5.0
"""After so long of following in vain, and twice as long as a snapshot took, another one is taken, and where
that leaves one has to do: who replays more slowly than the others train only falls behind."""


@dataclass(frozen=True)
class Arrival:
    """A snapshot that has not come whole."""

    name: str
    """As the donor calls it."""
    asked: float
    skeleton: Snapshot
    tensors: Arriving


class Follower:
    """One newcomer's thread. `wake` guards what it shares with the program's thread."""

    def __init__(
        self, donor: Peer, credentials: Credentials, *, have: Position | None, wake: Monitor
    ) -> None:
        """`have`: where the state at hand stands; None where only a snapshot will do."""
        self.donor, self._credentials = donor, credentials
        self._wake = wake
        self._history = have.history if have else NO_HISTORY
        self._wanted = have.committed if have else None
        self._first = True
        self._renewed = False
        """Replaying was too slow, and a snapshot was taken instead."""
        self._since = time.monotonic()
        """When a state to go on from was last at hand, or the donor near."""
        self._patience = PATIENCE_SECONDS
        self._steps: deque[Entry] = deque()
        self._snapshot: Snapshot | None = None
        self._arrival: Arrival | None = None
        self._front = -1
        self._closed = False
        self.error = ""
        """Why the donor could not be followed the last time it was tried; empty while it can."""
        threading.Thread(target=self._run, name="follower", daemon=True).start()

    # Called by the program's thread, with `wake` held.

    def take_snapshot(self) -> Snapshot | None:
        """A snapshot to load before any further step, once."""
        snapshot, self._snapshot = self._snapshot, None
        return snapshot

    def take_step(self, committed: int) -> Entry | None:
        """The step after `committed`, if it has come."""
        if self.next_kind(committed) is None:
            return None
        self._wake.notify_all()
        return self._steps.popleft()

    def next_kind(self, committed: int) -> StepKind | None:
        """Of the step that `take_step` would give."""
        while self._steps and not self._snapshot:
            # A vote that was under way when following began may have been completed since.
            if self._steps[0].step == committed + 1:
                return self._steps[0].kind
            self._steps.popleft()
            # The follower's thread waits for room.
            self._wake.notify_all()
        return None

    @property
    def needs_snapshot(self) -> bool:
        """The donor does not keep the next step any more: only its snapshot helps."""
        return self._snapshot is not None or self._wanted is None

    def caught_up(self, committed: int) -> bool:
        if self.needs_snapshot or self.error or self._front < 0:
            return False
        return committed >= self._front - NEAR or self._renewed

    def close(self) -> None:
        self._closed = True
        self._wake.notify_all()

    # The follower's own thread.

    @property
    def _come(self) -> int:
        """Pieces of the snapshot that is on its way."""
        return self._arrival.tensors.come if self._arrival else 0

    def _run(self) -> None:
        address = (self.donor.address, self.donor.state_port)
        while not self._closed:
            come = self._come
            try:
                with socket.create_connection(address, CONNECT_SECONDS) as connection:
                    connection.settimeout(SILENCE_SECONDS)
                    with self._credentials.dial(connection, self.donor.worker) as secured:
                        self._follow(Wire(secured))
            # Whatever a donor may say: a thread that ended here would leave its newcomer waiting for good.
            except Exception as error:
                failure = f"cannot follow {self.donor.worker} at {address[0]}:{address[1]}: {error}"
                with self._wake:
                    # A way that has carried something is tried again before anybody is told.
                    self.error = "" if self._come > come else failure
                    self._wake.notify_all()
                    self._wake.wait_for(lambda: self._closed, RETRY_SECONDS)

    def _follow(self, wire: Wire) -> None:
        while not self._closed:
            if self._wanted is None:
                self._fetch(wire)
            else:
                wire.send({"want": "step", "after": self._wanted})
                self._keep(wire, _answer(wire)[0])
            self.error = ""

    def _fetch(self, wire: Wire) -> None:
        # Before a donor stops to copy its state: does anything of size come back?
        wire.send({"want": "echo"}, ECHO)
        _answer(wire)
        arrival = self._arrival = self._resumed(wire) or self._begun(wire)
        if not self._receive(wire, arrival.tensors):
            return
        snapshot, self._arrival = put_together(arrival.skeleton, arrival.tensors.whole()), None
        with self._wake:
            self._steps.clear()
            self._snapshot = snapshot
            self._wanted, self._history = snapshot.position.committed, snapshot.position.history
            # The donor has gone on meanwhile: where it stands is learnt from its next answer.
            self._front = -1
            self._since = time.monotonic()
            self._patience = max(PATIENCE_SECONDS, 2 * (self._since - arrival.asked))
            self._wake.notify_all()

    def _begun(self, wire: Wire) -> Arrival:
        asked = time.monotonic()
        wire.send({"want": "snapshot"})
        header, payload = _answer(wire)
        skeleton, announced = read_skeleton(bytes(payload))
        return Arrival(str(header["snapshot"]), asked, skeleton, Arriving(announced))

    def _resumed(self, wire: Wire) -> Arrival | None:
        """What a connection that broke has left, if the donor still has the rest."""
        if not self._arrival:
            return None
        wire.send({"want": "rest", "snapshot": self._arrival.name, "piece": self._come})
        gone = _answer(wire)[0].get("gone")
        then = "which it no longer has: another one is fetched" if gone else "and goes on from there"
        log.warning("a connection to %s broke after %d pieces, %s", self.donor.worker, self._come, then)
        if gone:
            self._arrival = None
        return self._arrival

    def _receive(self, wire: Wire, tensors: Arriving) -> bool:
        """Whether all have come; not where this was closed meanwhile."""
        while tensors.missing and not self._closed:
            tensors.receive(wire)
        return not tensors.missing

    def _keep(self, wire: Wire, header: dict[str, Any]) -> None:
        entry = self._received_step(wire, header) if "step" in header else None
        with self._wake:
            self._front = int(str(header["front"]))
            if header.get("gone") or history_from(header["history"]) != self._history or self._should_leap():
                self._wanted = None
            elif entry:
                self._wanted = entry.step
                self._steps.append(entry)
            self._wake.notify_all()
            self._wake.wait_for(lambda: self._closed or len(self._steps) < AHEAD)

    def _received_step(self, wire: Wire, header: dict[str, Any]) -> Entry | None:
        tensors = Arriving([torch.empty(int(header["size"]), device="meta")])
        if not self._receive(wire, tensors):
            return None
        return Entry(
            step=int(header["step"]),
            formation=FormationId.from_json(header["formation"]),
            total=tensors.whole()[0],
            ledger=Ledger.from_json(str(header["ledger"])),
            kind=StepKind(int(header["kind"])),
        )

    def _should_leap(self) -> bool:
        """To a snapshot: far behind at the start, or still behind when patience is over."""
        behind = self._front - (self._wanted or 0)
        far, self._first = self._first and behind > FAR, False
        now = time.monotonic()
        if behind <= NEAR:
            self._since = now
        slow = now > self._since + self._patience
        self._renewed |= slow
        return far or slow


def _answer(wire: Wire) -> tuple[dict[str, Any], bytearray]:
    """Raises WireError: nothing comes any more, or the donor comes to no boundary, or failed there."""
    asked = time.monotonic()
    while True:
        header, payload = wire.receive()
        if "failed" in header:
            raise WireError(str(header["failed"])[:1000])
        if "waiting" not in header:
            return header, payload
        if time.monotonic() > asked + BOUNDARY_SECONDS:
            raise WireError(f"the donor has come to no boundary in {BOUNDARY_SECONDS:g} s")
