"""Updates on their way in: one for each group, which takes room once and is filled as its bytes come."""

import contextlib
import hashlib
import socket
import threading
from collections.abc import Collection, Iterator
from dataclasses import dataclass, field

import numpy as np

from edgetrain.aggregator.vectors import is_finite
from edgetrain.payload.codec import Bytes, Floats
from edgetrain.payload.packing import Packing
from edgetrain.rounds.entries import Contribution, UpdateKey
from edgetrain_protocol.history import History


class NotTaken(ValueError):
    """What is pushed cannot be taken. The text is for whoever pushes."""


class NotFinite(NotTaken):
    """It came as it was sent, and will never be merged."""


@dataclass
class Incoming:
    """An update, which one connection at a time fills."""

    update: Contribution
    packing: Packing
    data: Bytes
    come: int = 0
    """Bytes that are here."""
    accepted: bool = False
    """It is whole, and what it was said to be."""
    _filling: threading.Lock = field(default_factory=threading.Lock)
    _filler: socket.socket | None = None
    _hash: "hashlib._Hash" = field(default_factory=hashlib.sha256)

    @property
    def vector(self) -> Floats:
        return self.packing.unpacked(self.data)

    @property
    def bytes(self) -> int:
        return self.data.nbytes

    @property
    def room(self) -> memoryview:
        """For what is still to come."""
        return self.data.data[self.come :]

    @contextlib.contextmanager
    def filled_by(self, connection: socket.socket) -> Iterator[None]:
        """By no other from now on: of two the first was given up by its sender, who may know before us."""
        if (before := self._filler) is not None:
            with contextlib.suppress(OSError):
                before.shutdown(socket.SHUT_RDWR)
        with self._filling:
            self._filler = connection
            try:
                yield
            finally:
                self._filler = None

    def fill(self, count: int) -> None:
        """So many bytes of `room` are there now."""
        self._hash.update(self.room[:count])
        self.come += count

    def check(self) -> None:
        """Once it is whole.

        Raises:
            NotTaken: it is not what it was said to be, or not all of it is a number.
        """
        if self._hash.hexdigest() != self.update.digest:
            raise NotTaken("its bytes are not those that its digest names")
        if not is_finite(self.vector):
            raise NotFinite("not all of its numbers are finite")


class Staging:
    """For any thread."""

    def __init__(self) -> None:
        self._lock = threading.Lock()
        self._incoming: dict[History, Incoming] = {}

    def receive(self, update: Contribution, packing: Packing) -> Incoming:
        """Where its bytes go: there is room for one update of each group, and a newer one, or another attempt
        at the same by who has followed its envoy, takes the place of what is not accepted yet. What is stays,
        whoever has encoded it: it is what comes back.

        Raises:
            NotTaken: a later attempt is being pushed, or this key with other bytes.
        """
        with self._lock:
            held = self._incoming.get(update.key.history)
            if held is not None and (held.update == update or _is_here(held, update)):
                return held
            if held is not None:
                _needs_later(update, held.update)
            made = Incoming(update, packing, np.empty(packing.bytes, np.uint8))
            self._incoming[update.key.history] = made
            return made

    def accept(self, incoming: Incoming) -> bool:
        """It was checked. False where another attempt has taken its place meanwhile."""
        with self._lock:
            incoming.accepted = self._incoming.get(incoming.update.key.history) is incoming
            return incoming.accepted

    def drop(self, incoming: Incoming) -> None:
        """It is of no use."""
        with self._lock:
            if self._incoming.get(incoming.update.key.history) is incoming:
                del self._incoming[incoming.update.key.history]

    def vectors(self, updates: Collection[Contribution]) -> list[Floats]:
        """Those of whole updates, in this order.

        Raises:
            LookupError: one of them is not here.
        """
        with self._lock:
            held = [self._incoming[update.key.history] for update in updates]
        if any(h.update != update or not h.accepted for h, update in zip(held, updates, strict=True)):
            raise LookupError("an update that is to be merged is not here")
        return [h.vector for h in held]

    def settle(self, open_: Collection[UpdateKey]) -> None:
        """Keep only what may still be merged."""
        with self._lock:
            self._incoming = {
                history: held for history, held in self._incoming.items() if held.update.key in open_
            }


def _is_here(held: Incoming, update: Contribution) -> bool:
    return held.accepted and held.update.key == update.key


def _needs_later(update: Contribution, held: Contribution) -> None:
    order, before = (update.key.seq, update.attempt), (held.key.seq, held.attempt)
    if order < before:
        raise NotTaken(f"update {held.key.seq} is being pushed, in attempt {held.attempt}")
    if order == before:
        raise NotTaken(f"update {held.key.seq} has other bytes than those that came first in this attempt")
