"""All histories within bounds: no work is lost, none is merged twice, and all mean the same by a version."""

import os
from collections.abc import Iterable
from dataclasses import replace
from typing import Any

import pytest

from edgetrain.data import Block
from edgetrain.rounds.blocks import without
from edgetrain.rounds.book_rules import BookRules, OnBooks, Settlement
from edgetrain.rounds.books import Books
from edgetrain.rounds.data_record import Fate
from edgetrain.rounds.entries import Body, Contribution, Lease
from edgetrain.rounds.envoy import EnvoyRules, Ledger
from edgetrain.rounds.lead import LeadRules
from edgetrain.rounds.mass import MassRules
from edgetrain.rounds.turn import Apply, Held, Place, Step, Turn, TurnRules
from edgetrain_protocol.history import History
from tests.model.rounds_world import RoundsBounds, RoundsState, RoundsWorld
from tests.model.search import Explored, Violation, itself, search

BOUNDS = [
    RoundsBounds(3),
    RoundsBounds(3, leads=1),
    RoundsBounds(3, most_behind=0),
    RoundsBounds(2, leads=1, early=True),
    RoundsBounds(2, leads=1, settings=1),
    RoundsBounds(2, reissues=1),
    RoundsBounds(2, leads=1, shards=2, staged=True),
    RoundsBounds(2, mates=2, crashes=1, leads=1),
    RoundsBounds(2, mates=2, crashes=1, shards=2, staged=True),
    RoundsBounds(2, mates=2, breaks=2, turn_by_turn=True),
    RoundsBounds(2, mates=2, breaks=1, crashes=1, turn_by_turn=True),
    RoundsBounds(2, crashes=1, regroups=1),
    RoundsBounds(2, mates=2, regroups=1),
    RoundsBounds(1, resumptions=1, leads=1),
    RoundsBounds(1, resumptions=2),
]
DEEP = [
    RoundsBounds(2, resumptions=1),
    RoundsBounds(2, leads=1, reissues=1),
    RoundsBounds(4),
    RoundsBounds(3, mates=2, breaks=1, turn_by_turn=True),
    RoundsBounds(3, mates=2, breaks=2, turn_by_turn=True),
    RoundsBounds(2, mates=2, crashes=1, leads=1, shards=2, staged=True),
    RoundsBounds(2, leads=1, regroups=1, staged=True),
    RoundsBounds(2, crashes=2, leads=1, regroups=1),
    RoundsBounds(3, regroups=1),
]
"""A minute each: run with EDGETRAIN_EXPLORE=deep after any change to edgetrain/rounds."""
if os.environ.get("EDGETRAIN_EXPLORE") == "deep":
    BOUNDS += DEEP


def explore(world: RoundsWorld) -> Explored:
    def merged(state: RoundsState) -> int:
        return world.folded(state.log).data.count(Fate.MERGED)

    return search(world.start(), world.successors, itself, merged, lambda _: None, most=500_000, hunt=False)


@pytest.mark.parametrize("bounds", BOUNDS, ids=str)
def test_each_step_counts_once(bounds: RoundsBounds) -> None:
    explored = explore(RoundsWorld(bounds))
    assert explored.committed == bounds.positions, explored
    assert explored.states > 400, explored


def test_whoever_begins_anew_from_a_version_has_its_data() -> None:
    world = RoundsWorld(RoundsBounds(3))
    logs: dict[tuple[int, ...], RoundsState] = {}

    def visit(state: RoundsState) -> None:
        logs[state.log] = state

    search(world.start(), world.successors, itself, lambda _: 0, visit, most=500_000, hunt=False)
    assert len(logs) > 30
    for log, state in logs.items():
        bodies = [world.thing(number) for number in log]
        for version in range(world.folded(log).version + 1):
            data = world.folded(()).as_of(version, bodies, 2).data
            parts = world.committed_model(state, version).parts
            assert sorted(step.position for step, _ in parts) == positions(data.of(Fate.MERGED))
            assert len(parts) + data.count(Fate.FREE) == 3


def positions(blocks: Iterable[Block]) -> list[int]:
    return [position for start, stop in blocks for position in range(start, stop)]


class MergesWhatIsReturned(BookRules):
    """What a group has trained on counts, whoever it is leased to by now."""

    def leases(self, books, contribution):  # type: ignore[no-untyped-def]
        history = contribution.key.history
        strange = without(contribution.blocks, books.data.of(history))
        return books.data.merge(history, without(contribution.blocks, strange))


class DropsAtAcknowledgement(EnvoyRules):
    """A lead has the update whole: what is in flight is taken for merged."""

    def settled(self, ledger, books, acknowledged):  # type: ignore[no-untyped-def]
        return acknowledged or super().settled(ledger, books, acknowledged)


class GuessesFromTheVersion(EnvoyRules):
    """The entry is cut off: that there is a newer version is taken for the update's being merged."""

    def settled(self, ledger: Ledger, books: Books, acknowledged: bool) -> bool:
        return ledger.in_flight is not None and books.version > ledger.in_flight.base


class NamesByGroupAlone(BookRules):
    """As if there were one lineage."""

    def name(self, lineage: int, group: str) -> History:
        return History(1, group, 1)

    def of_another(self, books: Books, history: History) -> bool:
        return False


class LeavesDataLeased(BookRules):
    """To groups of the lineage that is over."""

    def freed(self, data, histories):  # type: ignore[no-untyped-def]
        return data


class TakesItsWorkAlong(EnvoyRules):
    """Into the new lineage, under the new name."""

    def begins(self, history, books, before):  # type: ignore[no-untyped-def]
        return before and replace(before, history=history)


class SettledIsMerged(BookRules):
    """The books say how far a group's updates are settled, and no more."""

    def settlement(self, group: OnBooks, seq: int) -> Settlement:
        return Settlement.OPEN if group.settled < seq else Settlement.MERGED


class TakesUncommittedVersions(EnvoyRules):
    """What a holder serves is a version."""

    def is_version(self, books, version, digest):  # type: ignore[no-untyped-def]
        return version >= books.version


class SplitsWithoutEntry(EnvoyRules):
    """Both halves of a group go on with all that it had."""

    def begins(self, history, books, before):  # type: ignore[no-untyped-def]
        return before


class BelievesAStaleLog(EnvoyRules):
    """A successor goes on by whatever it has read."""

    def has_read_enough(self, ledger: Ledger, known: int) -> bool:
        return True


class TakesOtherBytes(LeadRules):
    """Under one key, bytes are bytes."""

    def same(self, one: Contribution, other: Contribution) -> bool:
        return one.key == other.key


class KeepsEveryAttempt(LeadRules):
    """Whichever is whole first is merged."""

    def beside(self, held: Contribution, come: Contribution) -> bool:
        return True


class LeasesOutsideTheLog(LeadRules):
    """A lease counts when the lead has written it."""

    def shows(self, body: Body, committed: bool) -> bool:
        return committed or isinstance(body, Lease)


class AppliesWithoutVote(TurnRules):
    """A version needs no vote: everybody gets it sooner or later."""

    def may_commit(self, places, held):  # type: ignore[no-untyped-def]
        return isinstance(held.turn.deed, Apply) or super().may_commit(places, held)


class TurnsByNumberAlone(TurnRules):
    """What is held for a turn is what the turn is."""

    def tag(self, place: Place) -> Held | None:
        held = super().tag(place)
        return held and Held(0, Turn(held.turn.number, Step(()), 0))


class Overwrites(MassRules):
    """As torchft with its default: steps since the push are gone."""

    def rebased(self, theta, version, pushed):  # type: ignore[no-untyped-def]
        return version


class Mixes(MassRules):
    """Half of them."""

    def rebased(self, theta, version, pushed):  # type: ignore[no-untyped-def]
        return version + (theta - version) / 2


class MeanOfThosePresent(MassRules):
    """Who comes alone counts for all."""

    def merged(self, parent, updates, groups):  # type: ignore[no-untyped-def]
        present = list(updates)
        return super().merged(parent, present, len(present))


BROKEN: list[tuple[dict[str, Any], RoundsBounds, str]] = [
    ({"books": MergesWhatIsReturned()}, RoundsBounds(3, reissues=1), "other positions"),
    (
        {"envoy": DropsAtAcknowledgement()},
        RoundsBounds(2, leads=1, staged=True),
        "neither merged nor returned",
    ),
    ({"envoy": GuessesFromTheVersion()}, RoundsBounds(2), "neither merged nor returned"),
    ({"books": SettledIsMerged()}, RoundsBounds(2, reissues=1), "the books say otherwise"),
    ({"books": NamesByGroupAlone()}, RoundsBounds(1, resumptions=1), "has not leased"),
    ({"books": LeavesDataLeased()}, RoundsBounds(1, resumptions=1), "not on the books"),
    ({"envoy": TakesItsWorkAlong()}, RoundsBounds(1, resumptions=1), "and the work since"),
    ({"envoy": TakesUncommittedVersions()}, RoundsBounds(2, leads=1, early=True), "there is no version"),
    ({"envoy": SplitsWithoutEntry()}, RoundsBounds(2, mates=2), "trained by two"),
    ({"envoy": BelievesAStaleLog()}, RoundsBounds(2, mates=2, crashes=1), "has not leased"),
    (
        {"lead": TakesOtherBytes()},
        RoundsBounds(2, mates=2, crashes=1, shards=2, staged=True),
        "bytes of another",
    ),
    (
        {"lead": KeepsEveryAttempt()},
        RoundsBounds(1, mates=2, crashes=1, shards=2, staged=True),
        "more is staged",
    ),
    ({"lead": LeasesOutsideTheLog()}, RoundsBounds(3, leads=1), "has not leased"),
    (
        {"turn": AppliesWithoutVote()},
        RoundsBounds(2, mates=2, breaks=1, turn_by_turn=True),
        "does not hold it",
    ),
    ({"turn": TurnsByNumberAlone()}, RoundsBounds(2, mates=2, breaks=2, turn_by_turn=True), "another member"),
    ({"mass": Overwrites()}, RoundsBounds(4), "and the work since"),
    ({"mass": Mixes()}, RoundsBounds(4), "and the work since"),
    ({"mass": MeanOfThosePresent()}, RoundsBounds(2), "one part in all groups"),
]


@pytest.mark.parametrize(
    ("rules", "bounds", "what"),
    BROKEN,
    ids=[type(next(iter(rules.values()))).__name__ for rules, *_ in BROKEN],
)
def test_the_exploration_notices_a_broken_rule(rules, bounds, what) -> None:  # type: ignore[no-untyped-def]
    with pytest.raises(Violation, match=what):
        explore(RoundsWorld(bounds, **rules))
