"""Numbers as multiples of a 127th of the largest among their neighbours."""

from collections.abc import Iterator

import numpy as np

from edgetrain.payload.codec import Bytes, Floats

CHUNK = 512
"""Numbers of one scale: fewer would be more exact, and cost more than the 0.8 % that scales do now."""
STEPS = 127
SMALLEST = np.finfo(np.float32).tiny
"""Below it quotients lose their digits: such a chunk is 0, and waits in the residue."""


class Int8:
    """A byte a number and 1 in 128 for scales, off by a 254th of its chunk's largest at most.

    That is much for small numbers beside large ones, which only the residue brings in (error feedback: Seide
    et al. 2014, Karimireddy et al. 2019).
    """

    carries_residue = True

    def bytes_of(self, numbers: int) -> int:
        return numbers + 4 * _chunks(numbers)

    def encode(self, values: Floats, into: Bytes, noise: np.random.Generator | None = None) -> None:
        scales, codes = _rooms(into, len(values))
        # A chunk that is not finite gets a scale that is not, which decoding brings back.
        with np.errstate(invalid="ignore"):
            for rows, scale, code in _rows(values, scales, codes):
                np.maximum(rows.max(axis=1), -rows.min(axis=1), out=scale)
                scale /= STEPS
                scale[scale < SMALLEST] = 0
                divisors = scale.copy()
                divisors[scale == 0] = np.inf
                quotients: Floats = rows / divisors[:, None]
                code[...] = _rounded(quotients, noise)

    def decode(self, data: Bytes, into: Floats) -> None:
        scales, codes = _rooms(data, len(into))
        with np.errstate(invalid="ignore"):
            for rows, scale, code in _rows(into, scales, codes):
                np.multiply(code, scale[:, None], out=rows)


def _rounded(quotients: Floats, noise: np.random.Generator | None) -> Floats:
    """In place."""
    if noise is None:
        return np.rint(quotients, out=quotients)
    quotients += noise.random(quotients.shape, np.float32)
    # 126.99... and nearly 1 add up to 128, by rounding.
    return np.minimum(np.floor(quotients, out=quotients), STEPS, out=quotients)


def _chunks(numbers: int) -> int:
    return -(-numbers // CHUNK)


def _rooms(data: Bytes, numbers: int) -> tuple[Floats, "np.ndarray[tuple[int], np.dtype[np.int8]]"]:
    """Scales come first: they are where fp32 numbers may be."""
    end = 4 * _chunks(numbers)
    return data[:end].view(np.float32), data[end:].view(np.int8)


def _rows(
    values: Floats, scales: Floats, codes: "np.ndarray[tuple[int], np.dtype[np.int8]]"
) -> Iterator[tuple[Floats, Floats, "np.ndarray[tuple[int, int], np.dtype[np.int8]]"]]:
    """Views of a row for each scale: the whole chunks, then what is left."""
    whole = len(values) // CHUNK
    end = whole * CHUNK
    if whole:
        yield values[:end].reshape(whole, CHUNK), scales[:whole], codes[:end].reshape(whole, CHUNK)
    if end < len(values):
        yield values[end:].reshape(1, -1), scales[whole:], codes[end:].reshape(1, -1)
