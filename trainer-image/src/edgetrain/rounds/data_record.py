"""Who may train on which samples, between groups: a function of the committed log alone.

Positions count on through all epochs: position `p` is sample `p % samples` of the order of epoch
`p // samples`. So an epoch that nobody has begun takes no room, and one that is all merged takes none either.
Where each group has data of its own there are no positions: nothing is leased, and nothing is left over.
"""

from collections.abc import Iterable
from dataclasses import dataclass, replace
from enum import Enum
from itertools import pairwise
from typing import NamedTuple, Self

from edgetrain.data import Block
from edgetrain.rounds.blocks import count
from edgetrain_protocol.history import History


class Fate(Enum):
    FREE = "free"
    MERGED = "merged"


Owner = Fate | History
"""A history: leased to this generation of a group."""


class Part(NamedTuple):
    start: int
    stop: int
    owner: Owner


class NotTheirs(ValueError):
    """Positions are asked for, or given, by whom they do not belong to."""


@dataclass(frozen=True)
class DataRecord:
    """Each position is free, leased to one, or merged: they are one row of parts, without gap or overlap."""

    samples: int
    """Of an epoch; 0 where each group has data of its own."""
    parts: tuple[Part, ...]
    """Neighbours have different owners: two records of the same are equal."""
    reissued: int = 0
    """Positions returned although somebody may have trained on them: their samples are issued twice."""

    @classmethod
    def fresh(cls, samples: int, epochs: int) -> Self:
        """
        Raises:
            ValueError: there is nothing to train on.
        """
        if samples < 0 or epochs < 1:
            raise ValueError(f"{epochs} epochs of {samples} samples are nothing to train on")
        return cls(samples, (Part(0, samples * epochs, Fate.FREE),) if samples else ())

    def of(self, owner: Owner) -> tuple[Block, ...]:
        return tuple(Block(part.start, part.stop) for part in self.parts if part.owner == owner)

    def count(self, owner: Owner) -> int:
        """How many positions are its."""
        return count(self.of(owner))

    @property
    def total(self) -> int:
        """Positions of all epochs."""
        return self.parts[-1].stop if self.parts else 0

    @property
    def done(self) -> bool:
        """All epochs are merged."""
        return all(part.owner is Fate.MERGED for part in self.parts)

    def next_free(self, most: int) -> tuple[Block, ...]:
        """The first free positions, at most so many; no block reaches into another epoch."""
        found: list[Block] = []
        for start, stop in self.of(Fate.FREE):
            while start < stop and most:
                end = min(stop, start + most, (start // self.samples + 1) * self.samples)
                found.append(Block(start, end))
                start, most = end, most - (end - start)
        return tuple(found)

    def lease(self, to: History, blocks: Iterable[Block]) -> Self:
        """
        Raises:
            NotTheirs: some of them are not free.
        """
        return self._pass(blocks, Fate.FREE, to)

    def merge(self, by: History, blocks: Iterable[Block]) -> Self:
        """
        Raises:
            NotTheirs: some of them are not leased to it.
        """
        return self._pass(blocks, by, Fate.MERGED)

    def give_back(self, by: History, blocks: Iterable[Block], trained: bool) -> Self:
        """`trained`: somebody may have, in vain.

        Raises:
            NotTheirs: some of them are not leased to it.
        """
        blocks = tuple(blocks)
        after = self._pass(blocks, by, Fate.FREE)
        return replace(after, reissued=after.reissued + count(blocks)) if trained else after

    def _pass(self, blocks: Iterable[Block], giver: Owner, taker: Owner) -> Self:
        parts = self.parts
        for block in blocks:
            parts = tuple(_cut_out(parts, block, giver, taker))
        return replace(self, parts=_joined(parts) if parts else ())


def _cut_out(parts: tuple[Part, ...], block: Block, giver: Owner, taker: Owner) -> Iterable[Part]:
    if not parts or not parts[0].start <= block.start < block.stop <= parts[-1].stop:
        raise NotTheirs(f"positions {block.start} to {block.stop} are not in the run")
    for part in parts:
        start, stop = max(part.start, block.start), min(part.stop, block.stop)
        if start >= stop:
            yield part
            continue
        if part.owner != giver:
            raise NotTheirs(f"positions {start} to {stop} are {_named(part.owner)}, not {_named(giver)}")
        rest = Part(part.start, start, giver), Part(start, stop, taker), Part(stop, part.stop, giver)
        yield from (piece for piece in rest if piece.start < piece.stop)


def _joined(parts: tuple[Part, ...]) -> tuple[Part, ...]:
    bounds = [parts[0].start, *(b.start for a, b in pairwise(parts) if a.owner != b.owner), parts[-1].stop]
    owners = {part.start: part.owner for part in parts}
    return tuple(Part(start, stop, owners[start]) for start, stop in pairwise(bounds))


def _named(owner: Owner) -> str:
    return owner.value if isinstance(owner, Fate) else f"leased to {owner}"
