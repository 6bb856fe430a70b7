"""Who goes when too many have come: whoever is many, and never somebody who is few."""

from collections import Counter

import pytest
from hypothesis import given
from hypothesis import strategies as st

from edgetrain_protocol.crowd import Crowd, origin_of

ADDRESSES = ("10.0.0.1", "10.0.0.2", "10.0.0.3")


def test_a_flood_from_one_place_pushes_out_its_own() -> None:
    crowd: Crowd[int] = Crowd(10)
    assert crowd.enter(-1, "10.0.0.2") is None
    went = [crowd.enter(number, "10.0.0.1") for number in range(100)]
    assert went == [None] * 9 + list(range(91))
    assert -1 in crowd and len(crowd) == 10


def test_where_nobody_is_many_the_oldest_goes() -> None:
    crowd: Crowd[int] = Crowd(3)
    assert [crowd.enter(number, f"10.0.0.{number}") for number in range(5)] == [None, None, None, 0, 1]


@given(st.lists(st.tuples(st.booleans(), st.integers(0, 30), st.sampled_from(ADDRESSES))), st.integers(0, 5))
def test_nobody_goes_who_comes_from_where_fewer_do(
    happenings: list[tuple[bool, int, str]], most: int
) -> None:
    crowd: Crowd[int] = Crowd(most)
    there: dict[int, str] = {}
    for comes, guest, address in happenings:
        if not comes:
            crowd.leave(guest)
            there.pop(guest, None)
        elif guest not in there:
            there[guest] = address
            numbers = Counter(there.values())
            if (goes := crowd.enter(guest, address)) is not None:
                assert numbers[there.pop(goes)] == max(numbers.values())
        assert crowd.everybody() == tuple(there) and len(crowd) <= most


@pytest.mark.parametrize(
    ("one", "other", "same"),
    [
        ("10.0.0.1", "10.0.0.2", False),
        ("::ffff:10.0.0.1", "10.0.0.1", True),
        ("2001:db8::1", "2001:db8::ffff:2", True),
        ("2001:db8::1", "2001:db8:0:1::1", False),
        ("fe80::1%eth0", "fe80::2", True),
    ],
)
def test_whoever_has_a_network_comes_from_one_place(one: str, other: str, same: bool) -> None:
    assert (origin_of(one) == origin_of(other)) is same
