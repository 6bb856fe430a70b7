"""Matrices as products of two narrow ones: PowerSGD (Vogels, Karimireddy and Jaggi 2019, algorithm 1).

P = M Q, summed over the members and orthogonalised; Q = M^T P, summed; then P Q^T stands for the sum of M.
Both are linear in M, so any way to sum will do. Factors are kept with a row for each of their `rank` columns.

What members compute from what all of them have alike (`orthogonalise`, `multiply`) is made of single
multiplications and additions in a fixed order: a matrix product's order differs from processor to processor.
"""

import numpy as np

from edgetrain.payload.codec import Floats

RANK = 4
GAIN = 2
"""So many times smaller a matrix must become: else it goes as it is."""
LOST = 1e-5
"""Of a column's length is left where it was a combination of those before: rounding errors, no direction."""
BLOCK = 1 << 16
"""Numbers of a product at a time: what stays close to the processor."""


def rank_of(rows: int, columns: int) -> int:
    """Of the product that stands for a matrix; 0 where it goes as it is."""
    rank = min(RANK, rows, columns)
    return rank if GAIN * rank * (rows + columns) < rows * columns else 0


def first_factor(rank: int, columns: int) -> Floats:
    """What Q begins with: the same bits on all members, since only integers are drawn.

    Returns:
        rank x columns, between -1 and 1.
    """
    drawn = np.random.default_rng(columns).integers(-(1 << 20), 1 << 20, (rank, columns), dtype=np.int32)
    return drawn.astype(np.float32) / np.float32(1 << 20)


def project(matrix: Floats, factor: Floats, into: Floats) -> None:
    """P = M Q: rank x rows from rows x columns and rank x columns."""
    np.matmul(factor, matrix.T, out=into)


def project_back(matrix: Floats, factor: Floats, into: Floats) -> None:
    """Q = M^T P: rank x columns from rows x columns and rank x rows."""
    np.matmul(factor, matrix, out=into)


def subtract_product(matrix: Floats, left: Floats, right: Floats, into: Floats) -> None:
    """M - P Q^T: what the product leaves out. Of this member alone."""
    np.matmul(left.T, right, out=into)
    np.subtract(matrix, into, out=into)


def orthogonalise(factor: Floats) -> None:
    """Make the columns orthogonal and of length 1, in place (modified Gram-Schmidt); those that are
    combinations of others, or 0, become 0."""
    for place, column in enumerate(factor):
        before = _length(column)
        for other in factor[:place]:
            column -= other * np.add.reduce(other * column)
        length = _length(column)
        # Not finite stays so: all members are to see it.
        if length <= LOST * before:
            column[...] = 0
        else:
            column /= length


def multiply(left: Floats, right: Floats, into: Floats) -> None:
    """P Q^T: rows x columns from rank x rows and rank x columns."""
    rows = max(1, BLOCK // into.shape[1])
    for start in range(0, len(into), rows):
        block, part = into[start : start + rows], left[:, start : start + rows]
        np.multiply(part[0][:, None], right[0], out=block)
        for p, q in zip(part[1:], right[1:], strict=True):
            block += p[:, None] * q


def renew(factor: Floats) -> None:
    """Begin anew, in place, where a column has come to nothing: it would stay there."""
    spoilt = not np.isfinite(factor).all()
    dead = [place for place, column in enumerate(factor) if spoilt or not column.any()]
    if dead:
        factor[dead] = first_factor(*factor.shape)[dead]


def _length(column: Floats) -> np.float32:
    return np.float32(np.sqrt(np.add.reduce(column * column)))
