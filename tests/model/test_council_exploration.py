"""All histories within bounds: what is committed is never lost, and no two entries of one index ever are."""

import os

import pytest

from edgetrain.rounds.council_rules import CouncilRules
from edgetrain.rounds.log import NOTHING, Log
from tests.model.council_world import CouncilBounds, CouncilState, CouncilWorld
from tests.model.search import Explored, Violation, search

EVERY_ORDER = [
    (3, False, CouncilBounds(calls=2, proposals=0)),
    (3, False, CouncilBounds(calls=1, proposals=1, restarts=1)),
    (2, False, CouncilBounds(calls=3, proposals=1)),
    (3, True, CouncilBounds(calls=2, proposals=0, most=1)),
    (2, False, CouncilBounds(calls=2, proposals=1, cuts=1)),
]
BY_TERMS = [
    (3, False, CouncilBounds(calls=3, proposals=0, by_terms=True)),
    (3, True, CouncilBounds(calls=3, proposals=0, by_terms=True)),
    (3, False, CouncilBounds(calls=2, proposals=1, losses=1, by_terms=True)),
    (3, True, CouncilBounds(calls=2, proposals=1, losses=1, by_terms=True)),
    (4, False, CouncilBounds(calls=2, proposals=0, by_terms=True)),
    (4, True, CouncilBounds(calls=2, proposals=0, by_terms=True)),
    (3, False, CouncilBounds(calls=2, proposals=0, cuts=1, by_terms=True)),
    (3, True, CouncilBounds(calls=2, proposals=0, cuts=1, by_terms=True)),
    (1, False, CouncilBounds(calls=2, proposals=1, cuts=1, changes=2, newcomers=1, most=1, by_terms=True)),
    (2, False, CouncilBounds(calls=2, proposals=0, changes=1, newcomers=1, most=1, by_terms=True)),
    (3, True, CouncilBounds(calls=2, proposals=0, changes=1, most=1, by_terms=True)),
    (
        2,
        False,
        CouncilBounds(
            calls=2, proposals=0, changes=1, newcomers=1, witness_comes=True, most=1, by_terms=True
        ),
    ),
    (3, False, CouncilBounds(calls=2, proposals=0, changes=1, most=1, by_terms=True)),
]
DEEP = [
    (3, False, CouncilBounds(calls=2, proposals=0, changes=2, most=1, by_terms=True)),
    (3, False, CouncilBounds(calls=2, proposals=0, changes=1, newcomers=1, by_terms=True)),
    (3, False, CouncilBounds(calls=2, proposals=0, changes=2, by_terms=True)),
    (2, False, CouncilBounds(calls=2, proposals=0, changes=2, newcomers=1, by_terms=True)),
    (3, False, CouncilBounds(calls=3, proposals=0, cuts=1, by_terms=True)),
    (3, False, CouncilBounds(calls=2, proposals=1, cuts=2, by_terms=True)),
    (3, True, CouncilBounds(calls=2, proposals=1, cuts=1, by_terms=True)),
    (3, True, CouncilBounds(calls=1, proposals=1)),
    (3, False, CouncilBounds(calls=2, proposals=1, most=1)),
    (3, True, CouncilBounds(calls=2, proposals=0, losses=1, most=1)),
    (3, False, CouncilBounds(calls=3, proposals=1, by_terms=True)),
    (3, True, CouncilBounds(calls=3, proposals=1, by_terms=True)),
    (3, False, CouncilBounds(calls=3, proposals=1, losses=1, by_terms=True)),
    (4, False, CouncilBounds(calls=2, proposals=1, by_terms=True)),
    (4, True, CouncilBounds(calls=2, proposals=1, by_terms=True)),
]
"""Minutes each: run with EDGETRAIN_EXPLORE=deep after any change to edgetrain/rounds."""
if os.environ.get("EDGETRAIN_EXPLORE") == "deep":
    BY_TERMS += DEEP


def explore(world: CouncilWorld, *, hunt: bool = False) -> Explored:
    return search(
        world.founding(),
        world.successors,
        world.canonical,
        committed,
        lambda _: None,
        most=2_000_000,
        hunt=hunt,
    )


def committed(state: CouncilState) -> int:
    return len(state.history)


@pytest.mark.parametrize(("size", "witness", "bounds"), [*EVERY_ORDER, *BY_TERMS])
def test_what_is_committed_stays(size: int, witness: bool, bounds: CouncilBounds) -> None:
    explored = explore(CouncilWorld(size, bounds, witness=witness))
    assert explored.committed == bounds.calls + bounds.proposals + bounds.changes, explored
    assert explored.states > 400, explored


class CommitsAtOneStore(CouncilRules):
    """What the lead has is committed."""

    def stored_by_enough(self, here, council):  # type: ignore[no-untyped-def]
        return bool(here)


class DoesNotReadTheNewest(CouncilRules):
    """Whoever gets the votes leads from the log that it happens to have."""

    def may_lead(self, callers, ours):  # type: ignore[no-untyped-def]
        return True


class HeedsOldTerms(CouncilRules):
    """A lead that was superseded is still obeyed."""

    def heeds(self, term: int, promised: int) -> bool:
        return True


class VotesTwice(CouncilRules):
    """For two callers of one term."""

    def votes(self, term: int, promised: int) -> bool:
        return term >= promised


class HalfWins(CouncilRules):
    """Each of two halves has a lead."""

    def wins(self, voters, council):  # type: ignore[no-untyped-def]
        return 2 * len(voters) >= len(council)


class CommitsOthersEntries(CouncilRules):
    """An entry of a term before is committed as soon as a majority has it."""

    def commits(self, entry: int, term: int) -> bool:
        return True


class ForgetsWhatIsNotCommitted(CouncilRules):
    """Whatever is stored may be cut off."""

    def may_forget(self, index, log):  # type: ignore[no-untyped-def]
        return True


class EndsWithWhatIsLeft(CouncilRules):
    """A log that is all cut off is compared as one without entries."""

    def ends(self, log):  # type: ignore[no-untyped-def]
        return log.entries[-1].stamp if log.entries else NOTHING


class ComesBackAsWhoItWas(CouncilRules):
    """Who has lost its disk goes on as if it had promised nothing."""

    def name_after_loss(self, name: str, fresh: str) -> str:
        return name


class ReplacesOneByAnother(CouncilRules):
    """In one entry."""

    def one_at_a_time(self, before, after):  # type: ignore[no-untyped-def]
        return len(before.members) == len(after.members)


class ChangesBeforeTheLastIsCommitted(CouncilRules):
    """One after another, each of one member."""

    def change_before_is_over(self, log: Log) -> bool:
        return True


BROKEN = [
    (CommitsAtOneStore, 3, CouncilBounds(calls=2, proposals=0)),
    (DoesNotReadTheNewest, 3, CouncilBounds(calls=2, proposals=0)),
    (HeedsOldTerms, 3, CouncilBounds(calls=2, proposals=0)),
    (VotesTwice, 3, CouncilBounds(calls=2, proposals=0)),
    (HalfWins, 2, CouncilBounds(calls=2, proposals=0)),
    (CommitsOthersEntries, 3, CouncilBounds(calls=4, proposals=0, most=1, by_terms=True)),
    (ForgetsWhatIsNotCommitted, 2, CouncilBounds(calls=2, proposals=0, cuts=1)),
    (EndsWithWhatIsLeft, 3, CouncilBounds(calls=2, proposals=0, cuts=1, by_terms=True)),
    (ComesBackAsWhoItWas, 3, CouncilBounds(calls=2, proposals=0, losses=1)),
]
CHANGING = [
    (ReplacesOneByAnother, CouncilBounds(calls=2, proposals=0, changes=1, newcomers=1, by_terms=True)),
    (
        ChangesBeforeTheLastIsCommitted,
        CouncilBounds(calls=2, proposals=0, changes=2, most=1, by_terms=True),
    ),
]
"""The shortest way is soon found, where that of a hunt is lost in calls."""


@pytest.mark.parametrize(("rules", "size", "bounds"), BROKEN)
def test_the_exploration_notices_a_broken_rule(
    rules: type[CouncilRules], size: int, bounds: CouncilBounds
) -> None:
    with pytest.raises(Violation):
        explore(CouncilWorld(size, bounds, rules()), hunt=True)


@pytest.mark.parametrize(("rules", "bounds"), CHANGING)
def test_the_exploration_notices_a_broken_rule_of_changes(
    rules: type[CouncilRules], bounds: CouncilBounds
) -> None:
    with pytest.raises(Violation):
        explore(CouncilWorld(3, bounds, rules()))
