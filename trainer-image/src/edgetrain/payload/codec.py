"""What a way to pack numbers one by one can do."""

from typing import Any, Protocol

import numpy as np
from numpy.typing import NDArray

Floats = NDArray[np.float32]
Bytes = NDArray[np.uint8]


class Codec(Protocol):
    """Packs flat vectors of fp32 numbers. What is not finite comes back as not finite, if not as the same.

    `decode` takes one multiplication or none for each number, so that all members have the same bits of it,
    whatever their processors.
    """

    carries_residue: bool
    """What rounding takes from a step is added to the next one: too much to be left out."""

    def bytes_of(self, numbers: int) -> int:
        """Of that many numbers, packed."""

    def encode(self, values: Floats, into: Bytes, noise: np.random.Generator | None = None) -> None:
        """Pack `values`; `into` has `bytes_of` them.

        Args:
            noise: each number is rounded up or down by chance, so that what comes back is on average what was
                packed; to nearest without it, which needs a residue.
        """

    def decode(self, data: Bytes, into: Floats) -> None:
        """Unpack what `encode` made of as many numbers as `into` has."""


def encoded(codec: Codec, values: Floats, noise: np.random.Generator | None = None) -> Bytes:
    """`values`, packed."""
    into: NDArray[Any] = np.empty(codec.bytes_of(len(values)), np.uint8)
    codec.encode(values, into, noise)
    return into
