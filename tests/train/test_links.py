"""Links that break in part under real process groups: who is named, and who is not."""

from collections.abc import Iterator

import pytest

from edgelab.barriers import Cut
from edgetrain.engine.silence import STUCK_SECONDS
from tests.support.reducers import Reducers, stuck_while_summing
from tests.support.wires import Wires, can_wire, wired

pytestmark = pytest.mark.skipif(not can_wire(), reason="network namespaces need root")

NODES = ("a", "b", "c")
NUMBERS = 1 << 20
"""fp32: four MiB."""
SECONDS = STUCK_SECONDS + 2


@pytest.fixture
def group() -> Iterator[tuple[Wires, Reducers]]:
    with wired(*NODES) as wires:
        reducers = Reducers([(wires.namespace(node), wires.address(node)) for node in NODES])
        try:
            yield wires, reducers
        finally:
            reducers.close()


def pairs(wires: Wires, reducers: Reducers, kind: str) -> set[frozenset[str]]:
    """Between whom nothing gets through, by the word of either."""
    names = {wires.address(node): node for node in NODES}
    told = reducers.do(stuck_while_summing, kind, 0, NUMBERS, SECONDS)
    return {frozenset((by, names[to])) for by, named in zip(NODES, told, strict=True) for to in named}


@pytest.mark.parametrize(
    ("kind", "cut", "named"),
    [
        ("star", Cut(node="c", above=600), {"ac"}),
        ("star", Cut(node="a", above=600), {"ab", "ac"}),
        ("star", Cut(node="c", way="out", above=600), {"ac"}),
        ("star", Cut(node="a", way="out", above=600), {"ab", "ac"}),
        ("star", Cut(node="c", way="in"), {"ac"}),
        ("star", Cut(node="b", peer="c"), set()),
        ("ring", Cut(node="c", above=600), {"ac", "bc"}),
        ("ring", Cut(node="b", peer="c", way="out"), {"bc"}),
    ],
)
def test_pairs_whose_data_do_not_pass_are_named(
    group: tuple[Wires, Reducers], kind: str, cut: Cut, named: set[str]
) -> None:
    wires, reducers = group
    wires.bar(cut)
    assert pairs(wires, reducers, kind) == set(map(frozenset, named))


def test_a_link_that_is_merely_slow_is_not_named(group: tuple[Wires, Reducers]) -> None:
    wires, reducers = group
    wires.shape("c", "1mbit")
    assert pairs(wires, reducers, "star") == set()
