"""Low rank against numpy's own singular values, and what becomes of gradients that are of no use to it."""

import numpy as np
import pytest

from edgetrain.payload import low_rank
from edgetrain.payload.codec import Floats
from edgetrain.payload.low_rank import RANK


def matrix(rows: int, columns: int, seed: int = 0) -> Floats:
    return np.random.default_rng(seed).standard_normal((rows, columns), dtype=np.float32)


def product(of: Floats, factor: Floats) -> tuple[Floats, Floats, Floats]:
    """What stands for a matrix after one step, with its two factors."""
    rank, (rows, columns) = len(factor), of.shape
    left, right = np.empty((rank, rows), np.float32), np.empty((rank, columns), np.float32)
    low_rank.project(of, factor, left)
    low_rank.orthogonalise(left)
    low_rank.project_back(of, left, right)
    whole = np.empty_like(of)
    low_rank.multiply(left, right, whole)
    return whole, left, right


def test_the_same_matrix_again_and_again_comes_to_its_largest_singular_values() -> None:
    """What a warm start is for: each step goes on where the last one was."""
    of, factor = matrix(60, 40), low_rank.first_factor(RANK, 40)
    for _ in range(60):
        whole, _, factor = product(of, factor)
    best = np.sqrt((np.linalg.svd(of, compute_uv=False)[RANK:] ** 2).sum())
    assert np.linalg.norm(of - whole) == pytest.approx(best, rel=0.01)


def test_what_is_of_low_rank_comes_back_whole() -> None:
    of = matrix(50, RANK) @ matrix(RANK, 30, seed=1)
    whole, left, _ = product(of, low_rank.first_factor(RANK, 30))
    np.testing.assert_allclose(whole, of, atol=1e-4)
    np.testing.assert_allclose(left @ left.T, np.eye(RANK), atol=1e-5)


def test_a_matrix_of_less_than_its_rank_is_not_counted_twice() -> None:
    of = np.outer(matrix(1, 50)[0], matrix(1, 30, seed=1)[0])
    whole, left, right = product(of, low_rank.first_factor(RANK, 30))
    np.testing.assert_allclose(whole, of, atol=1e-4)
    assert not left[1:].any() and not right[1:].any()


def test_what_came_to_nothing_or_was_not_finite_begins_anew() -> None:
    first = low_rank.first_factor(RANK, 30)
    _, _, right = product(np.zeros((50, 30), np.float32), first)
    low_rank.renew(right)
    assert np.array_equal(right, first)
    right[1, 3] = np.nan
    low_rank.renew(right)
    assert np.array_equal(right, first)


def test_blocks_of_a_product_are_the_product() -> None:
    left, right = matrix(RANK, 700), matrix(RANK, 300, seed=1)
    into = np.empty((700, 300), np.float32)
    low_rank.multiply(left, right, into)
    np.testing.assert_allclose(into, left.T @ right, atol=1e-5)


def test_what_is_left_out_is_the_rest() -> None:
    of, left, right = matrix(50, 30), matrix(RANK, 50, seed=1), matrix(RANK, 30, seed=2)
    rest = np.empty_like(of)
    low_rank.subtract_product(of, left, right, rest)
    np.testing.assert_allclose(rest + left.T @ right, of, atol=1e-5)


@pytest.mark.parametrize(
    ("rows", "columns", "rank"), [(512, 512, RANK), (64, 64, RANK), (16, 16, 0), (1, 4096, 0), (8, 16, 0)]
)
def test_only_what_becomes_half_as_large_is_made_narrow(rows: int, columns: int, rank: int) -> None:
    assert low_rank.rank_of(rows, columns) == rank
