"""The order in which an epoch goes through a data set. It is computed piece by piece, never held as a whole:
a permutation of 100 M samples would take 800 MB and ten seconds.

A Feistel network on pairs of digits, walked until it falls into the set, is a bijection of any set: Black and
Rogaway, "Ciphers with arbitrary finite domains" (2002), sections 3 and 4.
"""

import math
from collections.abc import Collection
from dataclasses import dataclass, field
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
    _keys: Words = field(init=False, repr=False, compare=False)
    _pieces: dict[int, Words] = field(init=False, repr=False, compare=False, default_factory=dict)
    """The last one."""

    def __post_init__(self) -> None:
        entropy = np.random.SeedSequence([self.seed & 0xFFFFFFFF, self.epoch])
        object.__setattr__(self, "_keys", entropy.generate_state(ROUNDS, np.uint64))

    def indices(self, positions: Collection[int]) -> list[int]:
        """Indices of the data set at these positions."""
        wanted = np.fromiter(positions, np.int64, len(positions))
        found, pieces = np.empty_like(wanted), wanted // PIECE
        for number in np.unique(pieces).tolist():
            here = pieces == number
            found[here] = self._piece(number)[wanted[here] - number * PIECE]
        indices: list[int] = found.tolist()
        return indices

    def _piece(self, number: int) -> Words:
        if number not in self._pieces:
            stop = min(self.samples, (number + 1) * PIECE)
            made = self._walked(np.arange(number * PIECE, stop, dtype=np.uint64))
            self._pieces.clear()
            self._pieces[number] = made
        return self._pieces[number]

    def _walked(self, places: Words) -> Words:
        """Who falls beside the set goes on from there, until it is in it: it came from within."""
        places = self._mixed(places)
        while (beside := places >= self.samples).any():
            places[beside] = self._mixed(places[beside])
        return places

    def _mixed(self, places: Words) -> Words:
        """A bijection of a set that is larger by less than its square root."""
        rows = math.isqrt(self.samples - 1) + 1
        columns = -(-self.samples // rows)
        row, column = np.divmod(places, np.uint64(columns))
        for turn in range(0, ROUNDS, 2):
            row = (row + _scrambled(column ^ self._keys[turn])) % np.uint64(rows)
            column = (column + _scrambled(row ^ self._keys[turn + 1])) % np.uint64(columns)
        return row * np.uint64(columns) + column


def _scrambled(words: Words) -> Words:
    """Each bit of one changes about half of its bits: the finaliser of SplitMix64 (Steele, Lea, Flood, "Fast
    splittable pseudorandom number generators", 2014). Shifted, so that adding to it does not overflow."""
    words = (words ^ (words >> np.uint64(30))) * np.uint64(0xBF58476D1CE4E5B9)
    words = (words ^ (words >> np.uint64(27))) * np.uint64(0x94D049BB133111EB)
    return (words ^ (words >> np.uint64(31))) >> np.uint64(1)
