"""Runs of positions: counted, cut, taken from one another."""

from collections.abc import Iterable

from edgetrain.data import Block


def count(blocks: Iterable[Block]) -> int:
    """How many positions they contain."""
    return sum(block.stop - block.start for block in blocks)


def first(blocks: Iterable[Block], most: int) -> tuple[Block, ...]:
    """The first `most` positions."""
    found: list[Block] = []
    for start, stop in blocks:
        if most > 0:
            found.append(Block(start, min(stop, start + most)))
            most -= stop - start
    return tuple(found)


def without(blocks: Iterable[Block], taken: Iterable[Block]) -> tuple[Block, ...]:
    """What is left of `blocks`, in order."""
    left = tuple(blocks)
    for start, stop in taken:
        pieces = (
            piece
            for block in left
            for piece in (
                Block(block.start, min(block.stop, start)),
                Block(max(block.start, stop), block.stop),
            )
        )
        left = tuple(piece for piece in pieces if piece.start < piece.stop)
    return left


def joined(blocks: Iterable[Block]) -> tuple[Block, ...]:
    """The same positions in order, in as few blocks as can be."""
    found: list[Block] = []
    for start, stop in sorted(blocks):
        if found and found[-1].stop == start:
            found[-1] = Block(found[-1].start, stop)
        else:
            found.append(Block(start, stop))
    return tuple(found)
