"""Where a reduced vector is cut: into buckets that go out, one after another, while backward still runs.

Each costs messages of its own, so that few are best where a sum is quick; where it is slow, what has not gone
out when backward ends is waited for, and the last bucket always is.
"""

from collections.abc import Sequence
from typing import NamedTuple

FIRST_BYTES, LARGEST_BYTES = 1 << 20, 16 << 20
GROWTH = 4
"""A small first bucket is on its way early in backward."""
SECONDS = 0.05
"""So long one is under way where a sum is slow: several times what its messages cost."""
QUICK_SECONDS = 0.03
"""A vector whose sum takes less goes out at once: its messages would cost more than what they hide."""
MOST, SMALLEST_BYTES = 64, 64 << 10
"""Messages that carry less cost more than that: where processors are busy they make the sum slow."""


class Bucket(NamedTuple):
    """A part of the reduced vector that is complete, and sent, at once."""

    start: int
    stop: int
    parameters: range
    """Whose gradients are in it, by their places among those that are trained."""


class Buckets(NamedTuple):
    """All of a vector, in the order in which backward usually completes them."""

    each: tuple[Bucket, ...]
    of: Sequence[int]
    """By the place of each trained parameter."""


def largest_bytes(vector_bytes: int, sum_seconds: float) -> int:
    """How large buckets grow: a power of two, so that noise seldom changes it; 0: all is one bucket.

    Args:
        sum_seconds: that the vector takes to be summed; 0 where that is not known.
    """
    if 0 < sum_seconds < QUICK_SECONDS:
        return 0
    each = vector_bytes * max(SECONDS / sum_seconds, 1 / MOST) if sum_seconds else LARGEST_BYTES
    return min(LARGEST_BYTES, max(SMALLEST_BYTES, 1 << int(each).bit_length() - 1))


def cut(sizes: Sequence[int], whole: int, largest: int) -> Buckets:
    """
    Args:
        sizes: numbers of each trained parameter's gradient, in the order in which backward makes them.
        whole: numbers of the vector; what follows the gradients goes with the last of them.
        largest: bytes at which a bucket is full, see `largest_bytes`; one parameter may be more.
    """
    if not largest:
        return Buckets((Bucket(0, whole, range(len(sizes))),), [0] * len(sizes))
    found: list[Bucket] = []
    limit, start, stop, first = min(FIRST_BYTES, largest), 0, 0, 0
    for place, size in enumerate(sizes):
        stop += size
        if place == len(sizes) - 1 or 4 * (stop - start) >= limit:
            end = whole if place == len(sizes) - 1 else stop
            found.append(Bucket(start, end, range(first, place + 1)))
            limit, start, first = min(GROWTH * limit, largest), stop, place + 1
    each = tuple(found) or (Bucket(0, whole, range(0)),)
    return Buckets(each, [number for number, bucket in enumerate(each) for _ in bucket.parameters])
