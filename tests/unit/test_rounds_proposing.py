"""What an envoy proposes to its group, by the log as far as it has read it."""

from functools import reduce

import pytest

from edgetrain.data import Block
from edgetrain.rounds.agreed import Agreed
from edgetrain.rounds.books import Books
from edgetrain.rounds.data_record import DataRecord
from edgetrain.rounds.entries import (
    Body,
    Change,
    Contribution,
    Group,
    Last,
    Lease,
    Merge,
    Return,
    Settings,
    UpdateKey,
    Why,
)
from edgetrain.rounds.envoy import EnvoyRules
from edgetrain.rounds.group_work import GroupWork
from edgetrain.rounds.proposing import Proposed, Proposing
from edgetrain.rounds.reading import Page, Reading
from edgetrain_protocol.history import History
from edgetrain_protocol.strategy import RoundPayload

A = History(1, "a", 1)
BEGUN = (Group(A, Change.FORMED), Lease(A, (Block(0, 8),)))
OWN = (Group(A, Change.FORMED),)
STEPS = 2


def proposed(log: tuple[Body, ...], before: GroupWork | None, at_hand: int) -> Proposed | None:
    """By an envoy that has read this log, and has this version whole."""
    reading = Reading(Books(DataRecord.fresh(8, 1))).on_page(Page(0, log))
    return Proposing(A, reading, at_hand, EnvoyRules()).proposal(before, STEPS)


def begun() -> GroupWork:
    found = proposed(BEGUN, None, 0)
    assert found is not None and found.applies
    return found.work


def stepped(*blocks: Block) -> GroupWork:
    work = begun()
    for block in blocks:
        work = work.stepped((block,), block.stop - block.start)
    return work


def pushed(*blocks: Block) -> GroupWork:
    found = proposed(BEGUN, stepped(*blocks), 0)
    assert found is not None and not found.applies and found.work.ledger.in_flight
    assert proposed(BEGUN, found.work, 0) is None, "once"
    return found.work


def merge(*blocks: Block) -> Merge:
    return Merge(1, 0, (Contribution(UpdateKey(A, 1), "d", 0, blocks, 2),), 1, 0, "v1")


def own_merge() -> Merge:
    return Merge(1, 0, (Contribution(UpdateKey(A, 1), "d", 0, (), 1),), 1, 0, "v1")


def test_a_group_begins_once_it_is_on_the_books_and_a_version_is_whole() -> None:
    assert proposed((), None, 0) is None
    assert proposed(BEGUN, None, -1) is None
    assert begun().untrained == (Block(0, 8),) and begun().ledger.base == 0
    assert proposed(BEGUN, begun(), 0) is None


def test_work_goes_on_its_way_after_the_local_steps_or_where_nothing_is_left_to_do() -> None:
    assert proposed(BEGUN, stepped(Block(0, 2)), 0) is None
    assert pushed(Block(0, 2), Block(2, 4)).flying_steps == 2
    assert pushed(Block(0, 8)).flying_steps == 1


def test_work_is_packed_as_the_log_says_and_goes_as_it_is_where_nothing_is_left_anywhere() -> None:
    packed = Settings(1, Agreed(payload=RoundPayload.INT8).text)
    for leased, payload in ((4, RoundPayload.INT8), (8, RoundPayload.FP32)):
        log = (packed, BEGUN[0], Lease(A, (Block(0, leased),)))
        first = proposed(log, None, 0)
        assert first is not None
        trained = first.work.stepped((Block(0, 2),), 2).stepped((Block(2, leased),), 2)
        found = proposed(log, trained, 0)
        assert found is not None and found.work.ledger.in_flight
        assert found.work.ledger.in_flight.payload is payload


def test_data_that_are_leased_are_told() -> None:
    log = (Group(A, Change.FORMED), Lease(A, (Block(0, 4),)), Lease(A, (Block(4, 6),)))
    first = proposed(log[:2], None, 0)
    assert first is not None
    found = proposed(log, first.work, 0)
    assert found is not None and found.work.untrained == (Block(0, 6),) and not found.applies


def test_a_version_is_applied_once_it_settles_what_is_in_flight_and_is_whole() -> None:
    before, log = pushed(Block(0, 2), Block(2, 4)), (*BEGUN, merge(Block(0, 2), Block(2, 4)))
    assert proposed(log, before, 0) is None, "not without its numbers"
    found = proposed(log, before, 1)
    assert found is not None and found.applies
    assert found.work.ledger.in_flight is None and found.work.ledger.base == 1
    assert (found.work.merged, found.work.untrained) == (4, (Block(4, 8),))


def test_after_a_refusal_the_group_goes_on_from_the_same_version() -> None:
    before = pushed(Block(0, 2), Block(2, 4))
    back = Return(A, (Block(0, 4),), Why.REFUSED, 1)
    found = proposed((*BEGUN, back), before, 0)
    assert found is not None and found.applies and found.work.ledger.in_flight is None


@pytest.mark.parametrize("change", ["retired", "superseded"])
def test_a_group_of_which_nothing_is_merged_any_more_is_over(change: str) -> None:
    left = Group(A, Change.RETIRED) if change == "retired" else Group(History(1, "a", 2), Change.FORMED)
    found = proposed((*BEGUN, left), begun(), 0)
    assert found is not None and found.work.over
    assert proposed((*BEGUN, left), found.work, 0) is None


def test_who_has_read_less_than_the_group_has_acted_on_proposes_nothing() -> None:
    before = pushed(Block(0, 8))
    assert proposed((BEGUN[0],), before, 0) is None


def test_the_last_version_ends_it() -> None:
    log = (*BEGUN, merge(Block(0, 8)), Last(1))
    found = proposed(log, pushed(Block(0, 8)), 1)
    assert found is not None and found.applies and found.work.over
    assert proposed(log, found.work, 1) is None


def test_who_comes_after_the_last_version_takes_it_and_trains_nothing() -> None:
    log = (*BEGUN, merge(Block(0, 8)), Last(1))
    reading = Reading(Books(DataRecord.fresh(8, 1))).on_page(Page(0, log))
    for at_hand, begins in ((0, False), (1, True)):
        found = Proposing(History(1, "a", 2), reading, at_hand, EnvoyRules()).proposal(begun(), STEPS)
        assert (found is not None) is begins
        assert found is None or (found.applies and found.work.over and found.work.ledger.base == 1)
    another = Proposing(History(2, "a", 1), reading, 1, EnvoyRules())
    assert another.proposal(None, STEPS) is None, "the log of a lineage that is over"


class TestOfItsOwn:
    """Each group has data of its own: nothing is leased, and it ends when all have come to their end."""

    def proposed(
        self, log: tuple[Body, ...], before: GroupWork | None, at_hand: int, *, spent: bool = False
    ) -> Proposed | None:
        return self.proposing(log, at_hand).proposal(before, STEPS, spent)

    def proposing(self, log: tuple[Body, ...], at_hand: int) -> Proposing:
        reading = Reading(Books(DataRecord.fresh(0, 1))).on_page(Page(0, log))
        return Proposing(A, reading, at_hand, EnvoyRules())

    def begun(self, steps: int = 0) -> GroupWork:
        found = self.proposed(OWN, None, 0)
        assert found is not None and found.applies
        return reduce(lambda work, _: work.stepped((), 1), range(steps), found.work)

    def pushed(self, steps: int) -> GroupWork:
        found = self.proposed(OWN, self.begun(steps), 0, spent=True)
        assert found is not None and found.work.ledger.in_flight
        return found.work

    def test_its_work_goes_on_its_way_after_the_local_steps_or_when_it_has_no_more(self) -> None:
        assert self.proposed(OWN, self.begun(1), 0) is None
        found = self.proposed(OWN, self.begun(2), 0)
        assert found is not None and found.work.flying_steps == 2
        assert self.pushed(1).flying_steps == 1
        assert self.proposed(OWN, self.begun(), 0, spent=True) is None, "it has done nothing since"

    def test_it_ends_once_all_its_work_is_in_versions(self) -> None:
        log = (*OWN, own_merge())
        for work, spent, ends in ((self.begun(1), True, False), (self.begun(), False, False)):
            assert self.proposing(OWN, 0).ends(work, spent) is ends
        assert not self.proposing(log, 1).ends(self.pushed(1), spent=True), "not before it has applied it"
        found = self.proposed(log, self.pushed(1), 1, spent=True)
        assert found is not None and found.applies and not found.work.over
        assert self.proposing(log, 1).ends(found.work, spent=True)

    def test_it_waits_for_the_last_version_and_takes_it(self) -> None:
        other = History(1, "b", 1)
        log: tuple[Body, ...] = (Group(other, Change.FORMED), *OWN, Group(A, Change.ENDED))
        done = self.begun()
        assert self.proposed(log, done, 0, spent=True) is None
        theirs = Contribution(UpdateKey(other, 1), "d", 0, (), 2)
        log = (*log, Merge(1, 0, (theirs,), 1, 0, "v1"), Group(other, Change.ENDED))
        assert self.proposed(log, done, 1, spent=True) is None
        log = (*log, Last(1))
        assert self.proposed(log, done, 0, spent=True) is None, "not without its numbers"
        found = self.proposed(log, done, 1, spent=True)
        assert found is not None and found.applies and found.work.over and found.work.ledger.base == 1
        assert self.proposed(log, found.work, 1, spent=True) is None

    def test_a_later_generation_of_it_takes_the_last_version_and_trains_nothing(self) -> None:
        log = (*OWN, own_merge(), Group(A, Change.ENDED))
        later = Proposing(History(1, "a", 2), self.proposing(log, 1).reading, 1, EnvoyRules())
        assert later.proposal(self.begun(), STEPS) is None
        reading = Reading(Books(DataRecord.fresh(0, 1))).on_page(Page(0, (*log, Last(1))))
        found = Proposing(History(1, "a", 2), reading, 1, EnvoyRules()).proposal(self.begun(), STEPS)
        assert found is not None and found.applies and found.work.over
