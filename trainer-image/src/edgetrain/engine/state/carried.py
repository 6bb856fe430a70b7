"""What a member carries from step to step because its gradients are packed."""

import zlib
from collections.abc import Mapping
from dataclasses import dataclass
from typing import Any, Self

from torch import Tensor


@dataclass(frozen=True)
class Carried:
    """As of a committed step; tensors are never changed once they are in here.

    A step makes another one, which takes its place when the step is committed: one that is dropped, or summed
    again with kept gradients, begins again from what was carried before it.
    """

    residue: Tensor | None = None
    """Of the reduced vector's size: what packing has left out so far, of this member's gradients and of the
    sums that it has packed. Over all members it adds up to what the parameters still have to get. This
    member's own: it goes into its checkpoints, and to no other member; who is new has none."""
    factors: Tensor | None = None
    """What low rank begins the next step with, one column after another. The same on all members of a
    formation, which see to that when they enter it; it goes into checkpoints."""

    @property
    def checksum(self) -> int:
        """Differs where the factors differ in any bit; 0 without any."""
        return 0 if self.factors is None else 1 << 32 | zlib.crc32(self.factors.numpy().tobytes())

    def to_document(self, worker: str) -> dict[str, Any]:
        """For `worker`'s own checkpoint."""
        return {"worker": worker, "residue": self.residue, "factors": self.factors}

    @classmethod
    def from_document(cls, document: Mapping[str, Any], worker: str, size: int) -> Self:
        """What `worker` may use of a checkpoint, whoever has written it; `size`: of the reduced vector.

        Checkpoints of older versions have nothing of it.
        """
        residue = document.get("residue") if document.get("worker") == worker else None
        fits = residue is not None and residue.numel() == size
        return cls(residue if fits else None, document.get("factors"))


NOTHING_CARRIED = Carried()


def drop_where_not_finite(residue: Tensor) -> None:
    """Make all of it 0 if any of its numbers is not finite: such a gradient is to be seen in its own step,
    and not in all that follow."""
    if not bool(residue.isfinite().all()):
        residue.zero_()
