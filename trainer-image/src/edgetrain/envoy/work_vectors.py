"""What a member keeps of its group's work beside the parameters, and how these move with it.

Of work that is under way nothing is lost: what was done since the push is kept when the version that settles
it is applied (`rounds.mass`), and so is what packing has left out of the push, which goes with the next one
(error feedback: Seide et al. 2014). All members do the same operations on the same numbers.
"""

from typing import Protocol

import numpy as np

from edgetrain.payload.codec import Bytes, Floats
from edgetrain.payload.packing import Packing
from edgetrain.rounds.group_work import GroupWork
from edgetrain_protocol.strategy import RoundPayload


class Parameters(Protocol):
    """What is trained, as one vector."""

    def take(self) -> Floats:
        """A copy."""

    def put(self, vector: Floats) -> None:
        """In the place of what is there."""

    def move(self, by: Floats) -> None:
        """From where it is."""


class WorkVectors:
    def __init__(self, parameters: Parameters, statistics: int = 0) -> None:
        """`statistics`: numbers, the last ones, that no optimiser moves."""
        self.parameters, self.statistics = parameters, statistics
        self.base: Floats | None = None
        """The version that the group's work is measured from. Never changed in place, as the next one."""
        self.pushed: Bytes | None = None
        """What is in flight, packed."""
        self.payload = RoundPayload.FP32
        """Of the last push."""
        self.proximal = 0.0
        """How strongly steps are pulled back to the base."""

    def update(self) -> Bytes:
        """What is in flight: the very bytes, whoever of the group sends them."""
        assert self.pushed is not None
        return self.pushed

    def follow(self, before: GroupWork | None, after: GroupWork, version: Floats | None) -> None:
        """From `before` to `after`, of which `version` is the base where that is another one, or the same
        anew."""
        begins = before is None or before.ledger.history != after.ledger.history
        self.proximal = after.proximal
        if begins:
            self.payload = RoundPayload.FP32
        if version is not None:
            self._apply(version, 0 if begins or before is None else before.steps)
        flying = after.ledger.in_flight
        if flying is None:
            self.pushed = None
        elif begins or before is None or after.ledger.seq > before.ledger.seq:
            self._push(flying.payload)
        if after.over and after.settled and self.base is not None:
            # All groups end with the same bits, whatever packing has left out.
            self.parameters.put(self.base)

    def _push(self, payload: RoundPayload) -> None:
        assert self.base is not None
        self.payload = payload
        self.pushed = self._packing(len(self.base)).packed(self.parameters.take() - self.base)

    def _packing(self, numbers: int) -> Packing:
        return Packing(self.payload, numbers, numbers - self.statistics)

    def _start(self) -> Floats | None:
        """Where the group was at the push, or at its base, without what is in no push yet."""
        if self.base is None or self.pushed is None:
            return self.base
        return self.base + self._packing(len(self.base)).unpacked(self.pushed)

    def _apply(self, version: Floats, steps: int) -> None:
        """`steps`: that were taken since the push, or since the base."""
        kept = steps > 0 or self.payload is not RoundPayload.FP32
        start = self._start() if kept else None
        by = version - start if start is not None else None
        if by is not None and np.isfinite(by.sum(dtype=np.float64)):
            self.parameters.move(by)
        else:
            # The very bits, which a difference would miss in the last ones. So too where a push was refused
            # since it was not finite: nothing that goes on from there can be kept.
            self.parameters.put(version)
        self.base = version
