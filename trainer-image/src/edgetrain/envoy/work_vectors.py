"""What a member keeps of its group's work beside the parameters, and how these move with it.

Of work that is under way nothing is lost: what was done since the push is kept when the version that settles
it is applied (`rounds.mass`). All members do the same operations on the same numbers.
"""

from typing import Protocol

import numpy as np

from edgetrain.payload.codec import Floats
from edgetrain.rounds.group_work import GroupWork


class Parameters(Protocol):
    """What is trained, as one vector."""

    def take(self) -> Floats:
        """A copy."""

    def put(self, vector: Floats) -> None:
        """In the place of what is there."""

    def move(self, by: Floats) -> None:
        """From where it is."""


class WorkVectors:
    def __init__(self, parameters: Parameters) -> None:
        self.parameters = parameters
        self.base: Floats | None = None
        """The version that the group's work is measured from. Never changed in place, as the next one."""
        self.pushed: Floats | None = None
        """The parameters at the push that is in flight."""

    def update(self) -> Floats:
        """What is in flight."""
        assert self.base is not None and self.pushed is not None
        work: Floats = self.pushed - self.base
        return work

    def follow(self, before: GroupWork | None, after: GroupWork, version: Floats | None) -> None:
        """From `before` to `after`, of which `version` is the base where that is another one, or the same
        anew."""
        begins = before is None or before.ledger.history != after.ledger.history
        if version is not None:
            self._apply(version, 0 if begins or before is None else before.steps)
        if after.ledger.in_flight is None:
            self.pushed = None
        elif begins or before is None or after.ledger.seq > before.ledger.seq:
            self.pushed = self.parameters.take()

    def _apply(self, version: Floats, steps: int) -> None:
        """`steps`: that were taken since the push, or since the base."""
        start = self.base if self.pushed is None else self.pushed
        by = version - start if steps and start is not None else None
        if by is not None and np.isfinite(by.sum(dtype=np.float64)):
            self.parameters.move(by)
        else:
            # The very bits, which a difference would miss in the last ones. So too where a push was refused
            # since it was not finite: nothing that goes on from there can be kept.
            self.parameters.put(version)
        self.base = version
