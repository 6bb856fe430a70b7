"""The ways to pack numbers one by one. A new one is a file and a line here."""

import time
from collections.abc import Callable

import numpy as np

from edgetrain.payload.bf16 import Bf16
from edgetrain.payload.codec import Codec, encoded
from edgetrain.payload.fp32 import Fp32
from edgetrain.payload.int8 import Int8
from edgetrain_protocol.strategy import Payload

CODECS: dict[Payload, Codec] = {Payload.FP32: Fp32(), Payload.BF16: Bf16(), Payload.INT8: Int8()}

TRIED_NUMBERS = 1 << 18
"""One MiB as fp32: more than the processor keeps close, as in training."""
TRIED_SECONDS = 0.02


def codec_seconds(clock: Callable[[], float] = time.perf_counter) -> dict[str, float]:
    """How long this processor takes to pack 1 MiB of fp32 numbers and to unpack it, by payload.

    The best of what can be tried in TRIED_SECONDS: what else runs here only makes it look slower.
    """
    values = np.linspace(-1, 1, TRIED_NUMBERS, dtype=np.float32)
    lossy = [payload for payload in CODECS if payload is not Payload.FP32]
    found, due = dict.fromkeys(lossy, float("inf")), clock() + TRIED_SECONDS
    while True:
        for payload in lossy:
            begin = clock()
            CODECS[payload].decode(encoded(CODECS[payload], values), values)
            found[payload] = min(found[payload], clock() - begin)
        if clock() >= due:
            return {str(payload): seconds for payload, seconds in found.items()}
