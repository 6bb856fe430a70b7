"""Numbers as they are."""

import numpy as np

from edgetrain.payload.codec import Bytes, Floats


class Fp32:
    """Four bytes a number; nothing is lost."""

    carries_residue = False

    def bytes_of(self, numbers: int) -> int:
        return 4 * numbers

    def encode(self, values: Floats, into: Bytes, noise: np.random.Generator | None = None) -> None:
        into.view(values.dtype)[...] = values

    def decode(self, data: Bytes, into: Floats) -> None:
        into[...] = data.view(into.dtype)
