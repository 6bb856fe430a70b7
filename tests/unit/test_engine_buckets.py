"""How large the buckets are in which a step's vector goes out."""

import pytest

from edgetrain.engine.buckets import cut, largest_bytes


@pytest.mark.parametrize(
    ("mebibytes", "seconds", "largest"),
    [
        (4, 0.0, 16 << 20),
        (4, 0.01, 0),
        (4, 0.034, 4 << 20),
        (100, 0.3, 16 << 20),
        (4, 0.4, 512 << 10),
        (4, 1000.0, 64 << 10),
        (0.04, 0.2, 64 << 10),
    ],
    ids=["nothing is known", "loopback", "1 Gbit/s", "a large model", "100 Mbit/s", "stuck", "a small model"],
)
def test_buckets_are_small_where_a_sum_is_slow(mebibytes: float, seconds: float, largest: int) -> None:
    assert largest_bytes(int(mebibytes * (1 << 20)), seconds) == largest


def test_what_is_summed_at_once_is_one_bucket() -> None:
    one = cut([600_000, 500_000, 7], 1_100_010, 0)
    assert [(bucket.start, bucket.stop, list(bucket.parameters)) for bucket in one.each] == [
        (0, 1_100_010, [0, 1, 2])
    ]
    assert one.of == [0, 0, 0]
    assert len(cut([600_000, 500_000, 7], 1_100_010, 16 << 20).each) == 2
