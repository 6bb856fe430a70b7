"""What an outer optimiser is, and what it keeps between versions."""

from dataclasses import dataclass
from typing import Protocol

from edgetrain.payload.codec import Floats


@dataclass(frozen=True)
class OuterState:
    """Vectors are as long as what is trained, and never changed in place. None: all zeros."""

    momentum: Floats | None = None
    buffer: Floats | None = None
    """Work that the momentum does not know of yet."""
    arrived: int = 0
    """Updates that `buffer` is of."""


FRESH = OuterState()


class OuterOptimizer(Protocol):
    """`arrived`: updates that a version is made of, where so many `groups` are on the books."""

    def added(self, work: Floats, state: OuterState, arrived: int, groups: int) -> Floats:
        """What is added to the model for this weighted work. Neither is changed."""
        ...

    def follow(self, added: Floats, state: OuterState, arrived: int, groups: int) -> OuterState:
        """Its state once this was added, worked out from that alone."""
        ...
