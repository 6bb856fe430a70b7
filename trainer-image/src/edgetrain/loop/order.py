"""The order in which samples come in an epoch, the same on every worker."""

from collections.abc import Iterator, Sequence
from dataclasses import dataclass, replace
from typing import Any, Protocol

import torch

from edgetrain.engine.errors import BadProgram
from edgetrain.epoch_order import EpochOrder
from edgetrain.loop.random_numbers import SharedNumbers


class Order(Protocol):
    """Of one data set, in all epochs."""

    def indices(self, epoch: int, positions: Sequence[int]) -> list[int]:
        """Indices of the data set at these positions."""


@dataclass(frozen=True)
class Shuffled:
    """Another order in each epoch, never held as a whole."""

    order: EpochOrder

    def indices(self, epoch: int, positions: Sequence[int]) -> list[int]:
        return replace(self.order, epoch=epoch).indices(positions)


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
        drawn = [int(index) for index in drawn_by(self._sampler, self._seed, epoch)]
        if len(drawn) != self._samples:
            raise BadProgram(
                f"the sampler {type(self._sampler).__name__} says that it has {self._samples} samples "
                f"and gave {len(drawn)}: its __len__ has to be right"
            )
        return drawn


class Batched(Sampled):
    """As a batch sampler of the program's own says."""

    def _draw(self, epoch: int) -> list[int]:
        drawn = [int(index) for batch in drawn_by(self._sampler, self._seed, epoch) for index in batch]
        if len(drawn) != self._samples:
            raise BadProgram(
                f"the batch sampler {type(self._sampler).__name__} gave {self._samples} samples in one epoch "
                f"and {len(drawn)} in another: let it give as many in each"
            )
        return drawn


def drawn_by(sampler: Any, seed: int, epoch: int) -> list[Any]:
    """What a sampler gives in an epoch, the same on all workers."""
    if hasattr(sampler, "set_epoch"):
        sampler.set_epoch(epoch)
    for own in _generators(sampler):
        own.manual_seed(seed_in(seed, epoch))
    with SharedNumbers(seed_in(seed, epoch)).in_use():
        return list(sampler)


def seed_in(seed: int, epoch: int) -> int:
    return seed * 1_000_003 + epoch


def _generators(sampler: Any, depth: int = 3) -> Iterator[torch.Generator]:
    """Its own, and those of samplers that it goes by."""
    for part in vars(sampler).values() if depth and hasattr(sampler, "__dict__") else ():
        if isinstance(part, torch.Generator):
            yield part
        elif hasattr(part, "__iter__"):
            yield from _generators(part, depth - 1)
