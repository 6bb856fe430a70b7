"""How a step's vector goes through a reducer: one class for each kind of payload."""

from abc import ABC, abstractmethod
from collections.abc import Callable

from torch import Tensor

from edgetrain.engine.buckets import Buckets
from edgetrain.engine.formation.parts import Coded
from edgetrain.engine.formation.reducer import Ready, Reducer
from edgetrain.engine.state.carried import Carried
from edgetrain.engine.state.flat_model import FlatModel
from edgetrain.payload.codec import Codec

Room = Callable[[], Tensor]
"""Gives room for a residue; it holds whatever was there."""


class Summation(ABC):
    """One attempt's: made by the program's thread, run by the formation's."""

    def __init__(self, flat: FlatModel, buckets: Buckets, vector: Tensor, before: Carried) -> None:
        """
        Args:
            vector: packed bucket by bucket, in the end the sum.
            before: as of the last committed step.
        """
        self.after = Carried()
        """To be carried on from this step if it is committed; whole once the sum is."""
        self._flat, self._buckets, self._vector = flat, buckets.each, vector
        self._residue = before.residue

    @abstractmethod
    def sum(self, reducer: Reducer, ready: Ready) -> None:
        """Sum the vector over all members; may be done again, once it has been packed again.

        Args:
            ready: is asked for each bucket in turn.

        Raises:
            GroupBroken: the group failed, or `ready` did.
        """

    def _views(self, vector: Tensor) -> list[Tensor]:
        return [vector[bucket.start : bucket.stop] for bucket in self._buckets]

    def _with_residue(self, ready: Ready) -> Ready:
        """Adds what earlier steps have left out."""
        if self._residue is None:
            return ready
        values, residues = self._views(self._vector), self._views(self._residue)

        def complete(bucket: int) -> None:
            ready(bucket)
            values[bucket] += residues[bucket]

        return complete


class ExactSummation(Summation):
    """As fp32."""

    def sum(self, reducer: Reducer, ready: Ready) -> None:
        reducer.sum(self._views(self._vector), self._with_residue(ready))


class CodedSummation(Summation):
    """Gradients number by number; what follows them in the vector goes as it is."""

    def __init__(
        self, codec: Codec, flat: FlatModel, buckets: Buckets, vector: Tensor, before: Carried, room: Room
    ) -> None:
        super().__init__(flat, buckets, vector, before)
        residue = room() if codec.carries_residue else None
        self.after = Carried(residue)
        residues = [None] * len(buckets.each) if residue is None else self._views(residue)
        self._parts = [
            Coded(values, codec, max(0, bucket.stop - max(bucket.start, flat.gradients)), left)
            for values, bucket, left in zip(self._views(vector), buckets.each, residues, strict=True)
        ]

    def sum(self, reducer: Reducer, ready: Ready) -> None:
        reducer.sum_coded(self._parts, self._with_residue(ready))
