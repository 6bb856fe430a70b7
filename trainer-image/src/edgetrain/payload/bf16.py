"""The upper half of each fp32 number, rounded to nearest, ties to even: as torch.bfloat16."""

import numpy as np

from edgetrain.payload.codec import Bytes, Floats

QUIET_NAN = 0x7FC0


class Bf16:
    """Two bytes a number, off by a part in 256 at most; no residue, since so little averages out."""

    carries_residue = False

    def bytes_of(self, numbers: int) -> int:
        return 2 * numbers

    def encode(self, values: Floats, into: Bytes) -> None:
        bits, halves = values.view(np.uint32), into.view(np.uint16)
        rounded = bits >> 16
        rounded &= 1
        rounded += 0x7FFF
        rounded += bits
        rounded >>= 16
        halves[...] = rounded
        # Rounding up would carry some of them over into the sign.
        nan = np.isnan(values)
        if nan.any():
            halves[nan] = QUIET_NAN

    def decode(self, data: Bytes, into: Floats) -> None:
        np.left_shift(data.view(np.uint16), 16, out=into.view(np.uint32), dtype=np.uint32)
