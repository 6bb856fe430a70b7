"""Vectors: their digests, their sums, and files of them, as packed, named by digest, which never change.

Sums are made by numpy's `multiply` and `add` one after the other, in one order: whoever makes them has the
same bytes, on every processor (fused operations differ).
"""

import contextlib
import hashlib
from collections.abc import Collection, Sequence
from pathlib import Path

import numpy as np

from edgetrain.durable_files import write_durably
from edgetrain.payload.codec import Bytes, Floats

_PIECE = 1 << 18
"""Numbers that are added at a time: they stay in a processor's cache."""
_HEX_DIGITS = 64


class BadVector(ValueError):
    """Bytes that are not the vector that they should be."""


def digest_of(vector: Floats | Bytes) -> str:
    """Of its bytes, by which it is named."""
    return hashlib.sha256(vector.data).hexdigest()


def weighted_sum(vectors: Sequence[Floats], coefficients: Sequence[float]) -> Floats:
    """Of one vector or more. Their order matters to the last bit."""
    numbers = len(vectors[0])
    merged, scaled = np.zeros(numbers, np.float32), np.empty(_PIECE, np.float32)
    for vector, coefficient in zip(vectors, map(np.float32, coefficients), strict=True):
        for start in range(0, numbers, _PIECE):
            piece = vector[start : start + _PIECE]
            into = scaled[: len(piece)]
            np.multiply(piece, coefficient, out=into)
            np.add(merged[start : start + _PIECE], into, out=merged[start : start + _PIECE])
    return merged


def is_finite(vector: Floats) -> bool:
    """Whether all of it is a number."""
    pieces = (vector[start : start + _PIECE] for start in range(0, len(vector), _PIECE))
    return all(bool(np.isfinite(piece).all()) for piece in pieces)


class VectorFiles:
    """A directory of them. For any thread: files appear whole, and are read as they are."""

    def __init__(self, directory: Path) -> None:
        """Raises OSError: there can be none."""
        directory.mkdir(parents=True, exist_ok=True)
        self._directory = directory

    def path(self, digest: str) -> Path | None:
        """Where it is; None where it is not here, also for what is no digest."""
        if len(digest) != _HEX_DIGITS or not set(digest) <= set("0123456789abcdef"):
            return None
        path = self._directory / digest
        return path if path.is_file() else None

    def keep(self, vector: Floats | Bytes, digest: str) -> None:
        """Once this returns it survives a power cut.

        Raises:
            OSError: the disk is full, or does not take it; nothing is left behind.
        """
        if self.path(digest):
            return
        write_durably(self._directory / digest, vector.data)

    def numbers(self, digest: str, numbers: int) -> Floats:
        """One that is kept as it is. Raises BadVector."""
        return self.read(digest, 4 * numbers).view(np.float32)

    def read(self, digest: str, size: int) -> Bytes:
        """So many bytes.

        Raises:
            BadVector: it is not here, or not as it was written.
        """
        path = self.path(digest)
        if path is None:
            raise BadVector(f"there is no vector {digest[:12]} in {self._directory}")
        try:
            vector: Bytes = np.fromfile(path, np.uint8)
        except OSError as error:
            raise BadVector(f"{path} cannot be read: {error}") from error
        if len(vector) != size or digest_of(vector) != digest:
            raise BadVector(f"{path} is damaged")
        return vector

    def keep_only(self, digests: Collection[str]) -> None:
        """Forget the others. Who is reading one reads it to its end."""
        for path in self._directory.iterdir():
            if path.name not in digests and not path.name.startswith("."):
                with contextlib.suppress(OSError):
                    path.unlink()
