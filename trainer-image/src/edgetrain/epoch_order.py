"""The order in which an epoch goes through a data set. It is computed piece by piece, never held as a whole:
a permutation of 100 M samples would take 800 MB and ten seconds.

A Feistel network on pairs of digits, walked until it falls into the set, is a bijection of any set: Black and
Rogaway, "Ciphers with arbitrary finite domains" (2002), sections 3 and 4.
"""

import math
from collections.abc import Collection
from dataclasses import dataclass
from functools import lru_cache
from typing import Any

import numpy as np

ROUNDS = 8
PIECE = 4096
"""Positions that are computed at once: batches are small, and mostly follow one another."""

Words = np.ndarray[Any, np.dtype[np.uint64]]


@dataclass(frozen=True)
class EpochOrder:
    """All who have the same numbers have the same order."""

    samples: int
    seed: int
    epoch: int

    def piece(self, number: int) -> list[int]:
        """Indices at PIECE positions, or those that are left, from this multiple of it on."""
        found: list[int] = _piece(self, number).tolist()
        return found

    def indices(self, positions: Collection[int]) -> list[int]:
        """Indices of the data set at these positions."""
        wanted = np.fromiter(positions, np.int64, len(positions))
        found, pieces = np.empty_like(wanted), wanted // PIECE
        for number in np.unique(pieces).tolist():
            here = pieces == number
            found[here] = _piece(self, number)[wanted[here] - number * PIECE]
        indices: list[int] = found.tolist()
        return indices


# A batch may lie across two pieces, and the last step's in another epoch than the next one's.
@lru_cache(maxsize=4)
def _piece(order: EpochOrder, number: int) -> Words:
    entropy = np.random.SeedSequence([order.seed & 0xFFFFFFFF, order.epoch])
    keys = np.asarray(entropy.generate_state(ROUNDS, np.uint64), dtype=np.uint64)
    stop = min(order.samples, (number + 1) * PIECE)
    places = _mixed(np.arange(number * PIECE, stop, dtype=np.uint64), order.samples, keys)
    # Who falls beside the set goes on from there, until it is in it: it came from within.
    while (beside := places >= order.samples).any():
        places[beside] = _mixed(places[beside], order.samples, keys)
    return places


def _mixed(places: Words, samples: int, keys: Words) -> Words:
    """A bijection of a set that is larger than the samples' by less than its square root."""
    rows = math.isqrt(samples - 1) + 1
    columns = -(-samples // rows)
    row, column = np.divmod(places, np.uint64(columns))
    for even, odd in zip(keys[::2], keys[1::2], strict=True):
        row = (row + _scrambled(column ^ even)) % np.uint64(rows)
        column = (column + _scrambled(row ^ odd)) % np.uint64(columns)
    return row * np.uint64(columns) + column


def _scrambled(words: Words) -> Words:
    """Each bit of one changes about half of its bits: the finaliser of SplitMix64 (Steele, Lea, Flood, "Fast
    splittable pseudorandom number generators", 2014). Shifted, so that adding to it does not overflow."""
    words = (words ^ (words >> np.uint64(30))) * np.uint64(0xBF58476D1CE4E5B9)
    words = (words ^ (words >> np.uint64(27))) * np.uint64(0x94D049BB133111EB)
    return (words ^ (words >> np.uint64(31))) >> np.uint64(1)
