"""Sums over real process groups: exact by either way, and the star beats the ring where links differ."""

from collections.abc import Callable, Iterator

import pytest

from tests.support.reducers import Reducers, open_files, shut_down_while_waiting, timed_sum, told_by_each
from tests.support.shaped import can_shape, hosts

LINKS = {"a": 100.0, "b": 50.0, "c": 20.0, "d": 20.0, "e": 10.0}
MIB = 1 << 18
"""fp32 numbers in one MiB."""


@pytest.fixture
def group() -> Iterator[Callable[[list[tuple[str, str]]], Reducers]]:
    made: list[Reducers] = []

    def make(places: list[tuple[str, str]]) -> Reducers:
        made.append(Reducers(places))
        return made[-1]

    yield make
    for reducers in made:
        reducers.close()


def test_sums_are_exact_and_alike(group: Callable[[list[tuple[str, str]]], Reducers]) -> None:
    reducers = group([("", "127.0.0.1")] * 4)
    for kind, hub in (("ring", 0), ("star", 0), ("star", 2)):
        for numbers in (1, 7, 20_000, MIB + 3):
            assert all(right for _, right in reducers.do(timed_sum, kind, hub, numbers, 2))
        assert reducers.do(told_by_each, kind, hub) == [[b"of %d" % rank for rank in range(4)]] * 4


def test_shutting_a_group_down_frees_its_operation_and_nothing_else(
    group: Callable[[list[tuple[str, str]]], Reducers],
) -> None:
    """Other threads' connections, also those made while the group was built, stay as they are."""
    reducers = group([("", "127.0.0.1")] * 3)
    before = reducers.do(open_files)
    freed = reducers.do(shut_down_while_waiting)
    assert all(seconds < 1.0 for seconds, _ in freed)
    assert all(alive for _, alive in freed)
    assert all(after <= had for had, after in zip(before, reducers.do(open_files), strict=True))


@pytest.mark.skipif(not can_shape(), reason="shaping links needs root")
def test_the_star_is_faster_where_links_differ(group: Callable[[list[tuple[str, str]]], Reducers]) -> None:
    with hosts(LINKS) as places:
        reducers = group([(host.namespace, host.address) for host in places.values()])

        def seconds(kind: str, hub: int) -> float:
            return max(float(took) for took, _ in reducers.do(timed_sum, kind, hub, MIB, 1))

        star, ring, worst = seconds("star", 0), seconds("ring", 0), seconds("star", 4)
    limit = 4 * MIB * 8 / 10e6
    assert star < 1.5 * limit, "pieces must come up while others go down"
    assert ring > 1.3 * star
    assert worst > 2 * star
