"""All histories within bounds of groups that train one model, by the code that runs: what was trained is in a
version, once, and all come to their end."""

import os
from typing import Any

import pytest

from edgetrain.rounds import next_entry, proposing
from edgetrain.rounds.books import Books, NotAdmissible
from edgetrain.rounds.entries import Body
from edgetrain.rounds.envoy import EnvoyRules
from edgetrain.rounds.group_work import GroupWork
from edgetrain.rounds.lead import Lead
from edgetrain.rounds.next_entry import Floor
from edgetrain.rounds.proposing import Proposing
from tests.model.groups_world import Bounds, GroupsState, GroupsWorld
from tests.model.search import Explored, Violation, itself, search

BOUNDS = [
    Bounds(own_data=True, leads=1),
    Bounds(own_data=True, envoys=1),
    Bounds(own_data=True, generations=1, leads=1, groups=1),
    Bounds(own_data=True, steps=2),
    Bounds(own_data=True, steps=3, groups=1, leads=1, envoys=1),
    Bounds(own_data=False, leads=1),
    Bounds(own_data=False, envoys=1),
    Bounds(own_data=False, generations=1, leads=1, groups=1),
    Bounds(own_data=False, steps=3, groups=1, leads=1, envoys=1),
]
if os.environ.get("EDGETRAIN_EXPLORE") == "deep":
    BOUNDS += [Bounds(own_data=own, generations=1) for own in (True, False)]
    BOUNDS += [Bounds(own_data=False, steps=2), Bounds(own_data=True, leads=1, envoys=1)]


def explore(bounds: Bounds) -> Explored:
    world = GroupsWorld(bounds)

    def visit(state: GroupsState) -> None:
        world.check(state)
        # What goes on always gets further, so that who can do nothing more has to be where all end.
        if not world.is_over(state) and next(iter(world.goes_on(state)), None) is None:
            raise Violation(f"it stands still: {state}")

    def merged(state: GroupsState) -> int:
        return len(world.contents(state.log, state.sent))

    return search(world.start, world.successors, itself, merged, visit, most=400_000, hunt=False)


@pytest.mark.parametrize("bounds", BOUNDS, ids=str)
def test_all_that_is_trained_is_in_one_version_and_all_come_to_their_end(bounds: Bounds) -> None:
    found = explore(bounds)
    assert found.states > 100 and found.committed >= bounds.steps * bounds.groups


def ends_early(self: Proposing, before: GroupWork | None, spent: bool) -> bool:
    return before is not None and spent and self.reading.books.has(self.history)


def last_without_the_plan(lead: Lead, books: Books, floor: Floor) -> Body | None:
    return lead.last(books) if books.ended and not books.groups else None


def never(self: Proposing, *of: object) -> None:
    return None


def twice(self: Lead, books: Books) -> Lead:
    return self


BROKEN: list[tuple[object, str, Any, Bounds]] = [
    (Proposing, "ends", ends_early, Bounds(own_data=True)),
    (GroupWork, "settled", property(lambda self: self.ledger.in_flight is None), Bounds(own_data=True)),
    (next_entry, "_last", last_without_the_plan, Bounds(own_data=True)),
    (Proposing, "_waiting", never, Bounds(own_data=True)),
    (Proposing, "_after_the_end", never, Bounds(own_data=False, generations=1, groups=1)),
    (EnvoyRules, "settled", lambda self, ledger, books, told: True, Bounds(own_data=False)),
    (EnvoyRules, "has_read_enough", lambda self, ledger, known: True, Bounds(own_data=False, envoys=1)),
    (proposing, "without", lambda blocks, taken: tuple(blocks), Bounds(own_data=False, groups=1)),
    (Lead, "settle", twice, Bounds(own_data=False)),
]


@pytest.mark.parametrize(
    ("where", "rule", "wrongly", "bounds"), BROKEN, ids=[f"{rule} {bounds}" for _, rule, _, bounds in BROKEN]
)
def test_each_rule_that_is_broken_is_noticed(
    where: object, rule: str, wrongly: Any, bounds: Bounds, monkeypatch: pytest.MonkeyPatch
) -> None:
    monkeypatch.setattr(where, rule, wrongly)
    with pytest.raises((Violation, NotAdmissible)):
        explore(bounds)
