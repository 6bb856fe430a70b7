"""How a step's vector goes as low rank: a sum of one factor of each matrix, then one of the other.

What is no matrix, or too small to gain, goes with the first sum as it is.
"""

from collections.abc import Sequence
from dataclasses import dataclass
from typing import NamedTuple

import numpy as np
import torch
from torch import Tensor

from edgetrain.engine.buckets import Bucket, Buckets
from edgetrain.engine.formation.reducer import Ready, Reducer
from edgetrain.engine.state.carried import Carried, drop_where_not_finite
from edgetrain.engine.state.flat_model import FlatModel
from edgetrain.engine.summation import Room, Summation
from edgetrain.payload import low_rank
from edgetrain.payload.codec import Floats


class _Shape(NamedTuple):
    """Of one parameter's gradient as a matrix; rank 0: it goes as it is."""

    rank: int
    rows: int
    columns: int


@dataclass(frozen=True)
class _Matrix:
    """Views of one parameter's gradient and of what stands for it."""

    values: Floats
    residue: Floats
    before: Floats
    left: Floats
    right: Floats


@dataclass(frozen=True)
class _Load:
    """A bucket as it goes: in the first sum `left`, in the second `right`."""

    matrices: Sequence[_Matrix]
    left: Tensor
    right: Tensor
    loose: Sequence[tuple[Tensor, Tensor]]
    """What goes as it is: in the vector, and in `left`."""

    def project(self) -> None:
        for matrix in self.matrices:
            low_rank.project(matrix.values, matrix.before, matrix.left)
        for values, sent in self.loose:
            sent.copy_(values)

    def project_back(self) -> None:
        for matrix in self.matrices:
            low_rank.orthogonalise(matrix.left)
            low_rank.project_back(matrix.values, matrix.left, matrix.right)
            low_rank.subtract_product(matrix.values, matrix.left, matrix.right, matrix.residue)

    def multiply(self) -> None:
        for matrix in self.matrices:
            low_rank.multiply(matrix.left, matrix.right, matrix.values)
            low_rank.renew(matrix.right)
        for values, sent in self.loose:
            values.copy_(sent)


class LowRankSummation(Summation):
    """PowerSGD with error feedback and warm start; see `edgetrain.payload.low_rank`."""

    def __init__(
        self, flat: FlatModel, buckets: Buckets, vector: Tensor, before: Carried, room: Room
    ) -> None:
        super().__init__(flat, buckets, vector, before)
        self._shapes = [_shape(parameter) for parameter in flat.trained]
        factors = torch.empty(sum(shape.rank * shape.columns for shape in self._shapes))
        self.after = Carried(room(), factors)
        known = before.factors
        fits = known is not None and known.numel() == factors.numel()
        self._before = _Strip(known) if known is not None and fits else None
        self._factors = _Strip(factors)
        self._loads = [self._load(bucket) for bucket in buckets.each]
        self._heavy = [load for load in self._loads if load.matrices]

    def sum(self, reducer: Reducer, ready: Ready) -> None:
        """What a residue takes is of this member's own gradients: over all members that is what the sum
        lacks, since the product is linear in them."""
        complete, residue = self._with_residue(ready), self.after.residue
        assert residue is not None

        def project(bucket: int) -> None:
            complete(bucket)
            self._loads[bucket].project()

        residue.zero_()
        with np.errstate(all="ignore"):
            reducer.sum([load.left for load in self._loads], project)
            if self._heavy:
                rights = [load.right for load in self._heavy]
                reducer.sum(rights, lambda place: self._heavy[place].project_back())
            for load in self._loads:
                load.multiply()
        drop_where_not_finite(residue)

    def _load(self, bucket: Bucket) -> _Load:
        assert self.after.residue is not None
        rooms, residues = self._flat.rooms(self._vector), self._flat.rooms(self.after.residue)
        whole = [place for place in bucket.parameters if not self._shapes[place].rank]
        pieces = [rooms[place] for place in whole]
        if bucket.stop > self._flat.gradients:
            pieces.append(self._vector[self._flat.gradients : bucket.stop])
        factored = [place for place in bucket.parameters if self._shapes[place].rank]
        narrow = sum(self._shapes[place].rank * self._shapes[place].rows for place in factored)
        left = torch.empty(narrow + sum(piece.numel() for piece in pieces))
        strip = _Strip(left)
        right = self._factors.take(sum(self._shapes[p].rank * self._shapes[p].columns for p in factored))
        rights = _Strip(right)
        matrices = [
            self._matrix(self._shapes[place], rooms[place], residues[place], strip, rights)
            for place in factored
        ]
        return _Load(matrices, left, right, [(piece, strip.take(piece.numel())) for piece in pieces])

    def _matrix(
        self, shape: _Shape, values: Tensor, residue: Tensor, lefts: "_Strip", rights: "_Strip"
    ) -> _Matrix:
        rank, rows, columns = shape
        before = self._before.take(rank * columns).numpy().reshape(rank, columns) if self._before else None
        return _Matrix(
            values=values.numpy().reshape(rows, columns),
            residue=residue.numpy().reshape(rows, columns),
            before=low_rank.first_factor(rank, columns) if before is None else before,
            left=lefts.take(rank * rows).numpy().reshape(rank, rows),
            right=rights.take(rank * columns).numpy().reshape(rank, columns),
        )


class _Strip:
    """A vector that is given away piece by piece."""

    def __init__(self, vector: Tensor) -> None:
        self._rest = vector

    def take(self, numbers: int) -> Tensor:
        taken, self._rest = self._rest.split_with_sizes([numbers, self._rest.numel() - numbers])
        return taken


def _shape(parameter: Tensor) -> _Shape:
    """As a matrix: its first dimension against all others."""
    rows = parameter.shape[0] if parameter.dim() > 1 else 1
    columns = parameter.numel() // max(1, rows)
    return _Shape(low_rank.rank_of(rows, columns), rows, columns)
