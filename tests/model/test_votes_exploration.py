"""All histories within bounds: no two primaries, no committed step lost, doubled or forked.

A fork, a lost step and a doubled step show alike: some step is committed with two different contents.
"""

import os
from dataclasses import replace

import pytest

from edgetrain.group.members import Formation, Member, Pod
from edgetrain.group.record import Accepted, Record
from edgetrain.group.rules import Rules
from edgetrain.group.set_aside import SetAsideRecords
from edgetrain.group.status import PlanView
from tests.model.explore import explore
from tests.model.search import Violation
from tests.model.world import Bounds, World

EVERY_ORDER = [
    (2, Bounds(calls=2, steps=2, slow_halt=True)),
    (2, Bounds(calls=2, steps=1, ends=1, fetches=1)),
    (3, Bounds(calls=1, steps=1, ends=1)),
]
MOVES = [
    (2, Bounds(calls=2, steps=2, ends=1, blocks=True, moves=True)),
    (3, Bounds(calls=2, steps=1, ends=1, blocks=True, missing=0, moves=True)),
    (3, Bounds(calls=1, steps=1, ends=2, blocks=True, missing=0, moves=True)),
]
"""Members that change groups."""
BY_CALLS = [
    (2, Bounds(calls=3, steps=2, blocks=True)),
    (2, Bounds(calls=2, steps=2, ends=1, fetches=1, blocks=True)),
    (3, Bounds(calls=2, steps=2, fetches=1, blocks=True)),
    (3, Bounds(calls=1, steps=1, ends=1, blocks=True)),
    (4, Bounds(calls=2, steps=1, blocks=True, missing=0)),
    (5, Bounds(calls=1, steps=1, blocks=True, missing=0)),
    (2, Bounds(calls=3, steps=2, blocks=True, witnesses=1)),
    (2, Bounds(calls=2, steps=2, ends=1, fetches=1, blocks=True, witnesses=1)),
    (3, Bounds(calls=2, steps=1, blocks=True, witnesses=1)),
]
DEEP = [
    (4, Bounds(calls=1, steps=1, ends=1, blocks=True, missing=0)),
    (5, Bounds(calls=1, steps=1, blocks=True, missing=1)),
    (3, Bounds(calls=2, steps=1, ends=1, fetches=1, blocks=True)),
    (3, Bounds(calls=2, steps=2, fetches=1, blocks=True, witnesses=1)),
    (3, Bounds(calls=1, steps=1, ends=1, blocks=True, witnesses=2)),
    (3, Bounds(calls=3, steps=1, blocks=True, witnesses=1, missing=0)),
    (4, Bounds(calls=2, steps=1, blocks=True, witnesses=2, missing=0)),
    (4, Bounds(calls=2, steps=1, blocks=True)),
    (5, Bounds(calls=2, steps=1, blocks=True, missing=0)),
]
"""Minutes each: run with EDGETRAIN_EXPLORE=deep after any change to edgetrain/group."""
if os.environ.get("EDGETRAIN_EXPLORE") == "deep":
    BY_CALLS += DEEP


@pytest.mark.parametrize(("size", "bounds"), [*EVERY_ORDER, *BY_CALLS, *MOVES])
def test_no_history_forks(size: int, bounds: Bounds) -> None:
    world = World(size, bounds)
    explored = explore(world, world.running())
    assert explored.committed == bounds.steps
    assert explored.states > 500


@pytest.mark.parametrize(("size", "founders"), [(2, 2), (3, 3), (3, 2)])
def test_a_generation_begins_once(size: int, founders: int) -> None:
    world = World(size, Bounds(calls=2, steps=1, blocks=True), founders=founders)
    assert explore(world, world.founding()).committed == 1


class AttemptsForgotten(Rules):
    """A majority of the last formation that committed, as if nobody had voted for another since."""

    def counted(self, records):  # type: ignore[no-untyped-def]
        records = list(records)
        newest = max(r.base.number for r in records)
        return {r.base for r in records if r.base.number == newest}


class SilenceIsEnded(Rules):
    """Who does not vote is taken for dead."""

    def enough(self, formation: Formation, voters: frozenset[Member], ended: frozenset[Member]) -> bool:
        return bool(formation.present(voters))


class AnyHalf(Rules):
    """Exactly half goes on, with the aggregator or without."""

    def enough(self, formation: Formation, voters: frozenset[Member], ended: frozenset[Member]) -> bool:
        return 2 * len(formation.present(voters)) >= len([m for m in formation.members if m not in ended])


class AggregatorAlone(Rules):
    """The aggregator may re-form by itself."""

    def enough(self, formation: Formation, voters: frozenset[Member], ended: frozenset[Member]) -> bool:
        alone = any(m.worker == formation.aggregator for m in formation.present(voters))
        return alone or super().enough(formation, voters, ended)


class DeclaredWithoutRecord(Rules):
    """That an incarnation has ended is believed, what it had voted for before is not asked."""

    def counted(self, records):  # type: ignore[no-untyped-def]
        return super().counted([r for r in records if not r.ended] or records)


class CommittedDecides(Rules):
    """A step that nobody says was committed is done again, although all hold it prepared."""

    def decision(self, committed, tags, clean):  # type: ignore[no-untyped-def]
        return super().decision(committed, tags if committed else {None}, clean)


class PreparedByOneDecides(Rules):
    """A step that one of them holds prepared is applied."""

    def decision(self, committed, tags, clean):  # type: ignore[no-untyped-def]
        return super().decision(committed, tags if tags == {None} else tags - {None}, clean)


BROKEN = [
    (AttemptsForgotten, 3, Bounds(calls=2, steps=1, blocks=True)),
    (SilenceIsEnded, 2, Bounds(calls=2, steps=1, blocks=True)),
    (AnyHalf, 2, Bounds(calls=2, steps=1, blocks=True)),
    (AggregatorAlone, 3, Bounds(calls=2, steps=1, blocks=True)),
    (DeclaredWithoutRecord, 3, Bounds(calls=2, steps=1, ends=1, blocks=True, missing=0)),
    (CommittedDecides, 3, Bounds(calls=1, steps=1, blocks=True)),
    (PreparedByOneDecides, 3, Bounds(calls=2, steps=1, blocks=True)),
]


@pytest.mark.parametrize(("rules", "size", "bounds"), BROKEN)
def test_the_exploration_notices_a_broken_rule(rules: type[Rules], size: int, bounds: Bounds) -> None:
    world = World(size, bounds, rules())
    with pytest.raises(Violation):
        explore(world, world.running(), hunt=True)


def test_who_moves_away_and_back_and_has_forgotten_forks_history(monkeypatch: pytest.MonkeyPatch) -> None:
    monkeypatch.setattr(SetAsideRecords, "_begin", began_anew)
    world = World(3, Bounds(calls=2, steps=1, ends=1, blocks=True, missing=0, moves=True))
    with pytest.raises(Violation):
        explore(world, world.running(), hunt=True)


def began_anew(_: SetAsideRecords, pod: Pod, plan: PlanView, before: Record | None) -> Record:
    """Wrongly: with nothing but which of its trainers have ended."""
    founders = tuple(Member(*founder, "") for founder in plan.founders)
    fresh = Record(pod, plan.history, Formation(0, founders, plan.founders[0].worker))
    return fresh.with_ended(before.ended if before else ())


def test_a_witness_proves_nothing_by_having_had_no_part(monkeypatch: pytest.MonkeyPatch) -> None:
    accept = Record.accept

    def forget_soon(record: Record, formation: Formation) -> Record:
        after = accept(record, formation)
        return replace(after, accepted=(*after.accepted[:-1], Accepted(formation, formed=False)))

    monkeypatch.setattr(Record, "accept", forget_soon)
    world = World(2, Bounds(calls=2, steps=1, blocks=True, witnesses=1))
    with pytest.raises(Violation):
        explore(world, world.running(), hunt=True)


def test_a_step_in_doubt_may_not_be_applied_before_the_group_is_built() -> None:
    """A member that never heard of the formation proves that nothing was committed in it: so be it."""
    world = World(3, Bounds(calls=2, steps=1, blocks=True, apply_unbuilt=True))
    with pytest.raises(Violation):
        explore(world, world.running())
