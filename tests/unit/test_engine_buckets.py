"""How large the buckets are in which a step's vector goes out."""

import pytest

from edgetrain.engine.buckets import largest_bytes


@pytest.mark.parametrize(
    ("mebibytes", "seconds", "largest"),
    [
        (4, 0.0, 16 << 20),
        (4, 0.01, 16 << 20),
        (100, 0.3, 16 << 20),
        (4, 0.4, 512 << 10),
        (4, 1000.0, 64 << 10),
        (0.04, 0.2, 64 << 10),
    ],
    ids=["nothing is known", "loopback", "a large model", "100 Mbit/s", "stuck", "a small model"],
)
def test_buckets_are_small_where_a_sum_is_slow(mebibytes: float, seconds: float, largest: int) -> None:
    assert largest_bytes(int(mebibytes * (1 << 20)), seconds) == largest
