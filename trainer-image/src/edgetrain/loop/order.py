"""The order in which samples come in an epoch, the same on every worker."""

from collections.abc import Iterator, Sequence
from dataclasses import replace
from typing import Any, Protocol

import torch

from edgetrain.engine.errors import BadProgram
from edgetrain.epoch_order import PIECE, EpochOrder
from edgetrain.loop.random_numbers import SharedNumbers


class Order(Protocol):
    """Of one data set, in all epochs."""

    def indices(self, epoch: int, positions: Sequence[int]) -> list[int]:
        """Indices of the data set at these positions."""


class Shuffled:
    """Another order in each epoch, never held as a whole."""

    def __init__(self, order: EpochOrder) -> None:
        self._order = order
        self._held = (-1, -1)
        """Epoch and number of the piece at hand."""
        self._piece: list[int] = []

    def indices(self, epoch: int, positions: Sequence[int]) -> list[int]:
        number = min(positions, default=0) // PIECE
        if (epoch, number) != self._held:
            self._held = epoch, number
            self._piece = replace(self._order, epoch=epoch).piece(number)
        start = number * PIECE
        if max(positions, default=0) < start + PIECE:
            # Most batches lie within a piece, and a handful of numbers is looked up sooner than by arrays.
            return [self._piece[position - start] for position in positions]
        return replace(self._order, epoch=epoch).indices(positions)


class InOrder:
    """As the data set has them."""

    def indices(self, epoch: int, positions: Sequence[int]) -> list[int]:
        return list(positions)


class Sampled:
    """As a sampler of the program's own says, asked once an epoch, with random numbers that all workers
    have."""

    def __init__(self, sampler: Any, seed: int, samples: int) -> None:
        """`samples` of each epoch."""
        self._sampler, self._seed, self._samples = sampler, seed, samples
        self._epoch, self._drawn = -1, list[int]()

    def indices(self, epoch: int, positions: Sequence[int]) -> list[int]:
        if epoch != self._epoch:
            self._epoch, self._drawn = epoch, self._draw(epoch)
        return [self._drawn[position] for position in positions]

    def _draw(self, epoch: int) -> list[int]:
        drawn = [int(index) for index in self._flat(drawn_by(self._sampler, self._seed, epoch))]
        if len(drawn) != self._samples:
            raise BadProgram(
                f"the sampler {type(self._sampler).__name__} says that it has {self._samples} samples "
                f"and gave {len(drawn)}: its __len__ has to be right, and the same in each epoch"
            )
        return drawn

    def _flat(self, drawn: list[Any]) -> list[Any]:
        return drawn


class Batched(Sampled):
    """As a batch sampler of the program's own says."""

    def _flat(self, drawn: list[Any]) -> list[Any]:
        return [index for batch in drawn for index in batch]


def drawn_by(sampler: Any, seed: int, epoch: int) -> list[Any]:
    """What a sampler gives in an epoch, the same on all workers."""
    if hasattr(sampler, "set_epoch"):
        sampler.set_epoch(epoch)
    for own in _generators(sampler):
        own.manual_seed(seed_in(seed, epoch))
    with SharedNumbers(seed_in(seed, epoch)).in_use():
        return list(sampler)


def seed_in(seed: int, epoch: int) -> int:
    """What random numbers begin with in an epoch, on all workers."""
    return seed * 1_000_003 + epoch


def _generators(sampler: Any, depth: int = 3) -> Iterator[torch.Generator]:
    """Its own, and those of samplers that it goes by."""
    for part in vars(sampler).values() if depth and hasattr(sampler, "__dict__") else ():
        if isinstance(part, torch.Generator):
            yield part
        elif hasattr(part, "__iter__"):
            yield from _generators(part, depth - 1)
