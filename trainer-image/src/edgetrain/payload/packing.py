"""How a vector of rounds goes over links and is kept on disks: what is trained in a payload, statistics as
they are. A variance that rounding made negative would be none any more; and there are few of them.
"""

from typing import NamedTuple

import numpy as np

from edgetrain.payload.codec import Bytes, Codec, Floats, encoded
from edgetrain.payload.codecs import CODECS
from edgetrain_protocol.strategy import Payload, RoundPayload


class Packing(NamedTuple):
    payload: RoundPayload
    numbers: int
    trained: int
    """Numbers, the first ones, that are no statistics."""

    @property
    def bytes(self) -> int:
        if self._as_it_is:
            return 4 * self.numbers
        return self._apart + self._codec.bytes_of(self.trained)

    def packed(self, vector: Floats, noise: np.random.Generator | None = None) -> Bytes:
        """`noise`: what packing leaves out is nothing on average; a residue without it."""
        if self._as_it_is:
            return vector.view(np.uint8)
        statistics, trained = vector[self.trained :], vector[: self.trained]
        # First, since they are where fp32 numbers may be.
        return np.concatenate((statistics.view(np.uint8), encoded(self._codec, trained, noise)))

    def unpacked(self, data: Bytes) -> Floats:
        """`data`: as many bytes as there have to be. The same bits on every processor."""
        if self._as_it_is:
            return data.view(np.float32)
        vector: Floats = np.empty(self.numbers, np.float32)
        vector[self.trained :] = data[: self._apart].view(np.float32)
        self._codec.decode(data[self._apart :], vector[: self.trained])
        return vector

    @property
    def _as_it_is(self) -> bool:
        return self.payload is RoundPayload.FP32

    @property
    def _codec(self) -> Codec:
        return CODECS[Payload(self.payload)]

    @property
    def _apart(self) -> int:
        """Bytes of the statistics."""
        return 4 * (self.numbers - self.trained)
