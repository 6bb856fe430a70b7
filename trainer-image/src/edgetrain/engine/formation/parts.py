"""Parts of the vector that a formation sums, as they travel: plain, or coded, what that leaves out kept."""

from collections.abc import Sequence
from typing import Protocol, Self

import torch
from torch import Tensor

from edgetrain.engine.state.carried import drop_where_not_finite
from edgetrain.payload.codec import Codec


class Part(Protocol):
    """Who owns a part adds what the others pack to its own values, and packs the sum for all."""

    values: Tensor

    @property
    def bytes(self) -> int:
        """On a link."""

    def cut(self, count: int) -> Sequence[Self]:
        """Views, of about equal size; some are empty where there are fewer numbers."""

    def room(self) -> Tensor:
        """For what another member packs, at its part's owner."""

    def landing(self) -> Tensor:
        """For the owner's sum, at the others."""

    def pack(self) -> Tensor:
        """The values, to be sent; from then on they are what the others make of it."""

    def add(self, packed: Tensor) -> None:
        """Add what another member packed."""

    def take(self, packed: Tensor) -> None:
        """Have the owner's sum for values."""

    def went_as_it_is(self) -> None:
        """It was summed another way, and nothing was left out."""


class Plain:
    """Nothing is copied: a sum comes into the same room when all of what it is made of has gone."""

    def __init__(self, values: Tensor) -> None:
        self.values = values

    @property
    def bytes(self) -> int:
        return self.values.numel() * self.values.element_size()

    def cut(self, count: int) -> list["Plain"]:
        return [Plain(view) for view in self.values.tensor_split(count)]

    def room(self) -> Tensor:
        return torch.empty_like(self.values)

    def landing(self) -> Tensor:
        return self.values

    def pack(self) -> Tensor:
        return self.values

    def add(self, packed: Tensor) -> None:
        self.values += packed

    def take(self, packed: Tensor) -> None:
        """It has landed there."""

    def went_as_it_is(self) -> None:
        """As always."""


class Coded:
    """What coding takes from a sum is left with whoever packed: each member what it took from its own values,
    the owner what it took from the sum. So values that are summed and residues add up to what there was.
    """

    def __init__(self, values: Tensor, codec: Codec, exact: int = 0, residue: Tensor | None = None) -> None:
        """
        Args:
            exact: so many numbers at the end go as they are.
            residue: of as many numbers as `values`; takes what is left out, where it is wanted.
        """
        self.values, self._codec, self._exact, self._residue = values, codec, exact, residue
        self._coded = values.numel() - exact

    @property
    def bytes(self) -> int:
        return 4 * self._exact + self._codec.bytes_of(self._coded)

    def cut(self, count: int) -> list["Coded"]:
        views = self.values.tensor_split(count)
        residues = [None] * count if self._residue is None else self._residue.tensor_split(count)
        found, start = [], 0
        for view, residue in zip(views, residues, strict=True):
            start += view.numel()
            exact = min(view.numel(), max(0, start - self._coded))
            found.append(Coded(view, self._codec, exact, residue))
        return found

    def room(self) -> Tensor:
        return torch.empty(self.bytes, dtype=torch.uint8)

    def landing(self) -> Tensor:
        return self.room()

    def pack(self) -> Tensor:
        packed = self.room()
        exact, coded = self._split(packed)
        exact.view(torch.float32).copy_(self.values[self._coded :])
        self._codec.encode(self.values[: self._coded].numpy(), coded.numpy())
        if self._residue is None:
            self.take(packed)
        else:
            self._take_and_keep_rest(packed, self._residue)
        return packed

    def _take_and_keep_rest(self, packed: Tensor, residue: Tensor) -> None:
        residue.copy_(self.values)
        self.take(packed)
        rest = residue[: self._coded]
        rest -= self.values[: self._coded]
        drop_where_not_finite(rest)
        residue[self._coded :].zero_()

    def add(self, packed: Tensor) -> None:
        theirs = torch.empty_like(self.values)
        self._unpack(packed, theirs)
        self.values += theirs

    def take(self, packed: Tensor) -> None:
        self._unpack(packed, self.values)

    def went_as_it_is(self) -> None:
        if self._residue is not None:
            self._residue.zero_()

    def _unpack(self, packed: Tensor, into: Tensor) -> None:
        exact, coded = self._split(packed)
        into[self._coded :] = exact.view(torch.float32)
        self._codec.decode(coded.numpy(), into[: self._coded].numpy())

    def _split(self, packed: Tensor) -> tuple[Tensor, Tensor]:
        """What goes as it is comes first: it is where fp32 numbers may be."""
        return packed[: 4 * self._exact], packed[4 * self._exact :]
