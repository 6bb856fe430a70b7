"""The upper half of each fp32 number, rounded to nearest, ties to even: as torch.bfloat16."""

import numpy as np
from numpy.typing import NDArray

from edgetrain.payload.codec import Bytes, Floats

QUIET_NAN = 0x7FC0


class Bf16:
    """Two bytes a number, off by a part in 256 at most; no residue, since so little averages out."""

    carries_residue = False

    def bytes_of(self, numbers: int) -> int:
        return 2 * numbers

    def encode(self, values: Floats, into: Bytes, noise: np.random.Generator | None = None) -> None:
        bits, halves = values.view(np.uint32), into.view(np.uint16)
        rounded = _ties_to_even(bits) if noise is None else _by_chance(bits, noise)
        rounded += bits
        rounded >>= 16
        halves[...] = rounded
        # Rounding up would carry some of them over into the sign.
        nan = np.isnan(values)
        if nan.any():
            halves[nan] = QUIET_NAN

    def decode(self, data: Bytes, into: Floats) -> None:
        np.left_shift(data.view(np.uint16), 16, out=into.view(np.uint32), dtype=np.uint32)


def _ties_to_even(bits: NDArray[np.uint32]) -> NDArray[np.uint32]:
    """What is added before the lower half is cut off."""
    added: NDArray[np.uint32] = np.right_shift(bits, 16)
    added &= 1
    added += 0x7FFF
    return added


def _by_chance(bits: NDArray[np.uint32], noise: np.random.Generator) -> NDArray[np.uint32]:
    """The same. The larger what is cut off, the likelier it carries over."""
    return noise.integers(0, 1 << 16, len(bits), np.uint32)
