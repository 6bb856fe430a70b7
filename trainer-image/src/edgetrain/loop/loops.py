"""Which loops a program has gone through: their epochs are numbered on from one to the next, so that a number
says where in the whole program a state belongs. Pure."""

from dataclasses import dataclass

from edgetrain.engine.place import Place


@dataclass
class Loops:
    first: int = 0
    """Number of the present loop's first epoch."""
    total: int = 0
    """Epochs of all loops so far, with all that the present one is to have."""
    number: int = 0
    """Of the present loop: one that is resumed after another has begun is told by it."""
    walking: bool = False
    """Within a loop over `session.epochs`; a pass through a loader outside of one is a loop of its own."""
    passes: int = 0
    """Through loaders, so far."""
    drained: Place | None = None
    """Where a loader has come to its end."""

    def begin(self, count: int) -> None:
        self.first, self.total, self.drained = self.total, self.total + count, None
        self.number += 1
