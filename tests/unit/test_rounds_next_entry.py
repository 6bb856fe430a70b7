"""What the lead does next, who gets which data, and for how long a group is waited for."""

from dataclasses import replace

import pytest
from hypothesis import given
from hypothesis import strategies as st

from edgetrain.data import Block
from edgetrain.rounds.books import Books
from edgetrain.rounds.data_record import DataRecord, Fate
from edgetrain.rounds.entries import Change, Contribution, Group, Last, Lease, Return, UpdateKey, Why
from edgetrain.rounds.lead import Lead
from edgetrain.rounds.leasing import Want, leases
from edgetrain.rounds.next_entry import Combine, Floor, Next, Propose, next_entry
from edgetrain.rounds.patience import FIRST_SECONDS, LEAST_SECONDS, Habit
from edgetrain.rounds.policies import LOOK_SECONDS, Wait, sync
from edgetrain_protocol.history import History

A, B = History(1, "a", 1), History(1, "b", 1)
BOTH = frozenset({A, B})
BEGUN = Books(DataRecord.fresh(40, 1))
BOOKS = BEGUN.fold(
    [Group(A, Change.FORMED), Group(B, Change.FORMED), Lease(A, (Block(0, 4),)), Lease(B, (Block(4, 8),))]
)
HEARD = Floor(100.0, BOTH, BOTH)
NOTHING_YET = Lead(1)


def pushed(
    history: History, *blocks: Block, base: int = 0, lead: Lead | None = None, books: Books = BOOKS
) -> Lead:
    update = Contribution(UpdateKey(history, 1), "d", base, blocks, 1)
    return (lead or Lead(1)).on_part(update, 0, books)


def step(lead: Lead = NOTHING_YET, books: Books = BOOKS, floor: Floor = HEARD, now: float = 101.0) -> Next:
    return next_entry(lead, books, floor, sync, now)


def test_who_asks_and_is_heard_comes_on_the_books_and_gets_data() -> None:
    floor = replace(HEARD, wants={A: Want(8, 2)})
    found = step(books=BEGUN, floor=floor)
    assert found == Propose(Group(A, Change.FORMED))
    books = BEGUN.after(Group(A, Change.FORMED)).after(Group(B, Change.FORMED))
    assert step(books=books, floor=floor) == Propose(Lease(A, (Block(0, 8),)))
    deaf = replace(floor, heard=frozenset())
    assert step(books=BEGUN, floor=deaf) == Wait(101.0 + LOOK_SECONDS)
    assert isinstance(step(books=books, floor=deaf), Wait)


def test_an_older_generation_does_not_come_back_and_a_newer_one_takes_its_place() -> None:
    newer = History(1, "a", 2)
    books = BOOKS.after(Group(newer, Change.FORMED))
    assert isinstance(step(books=books), Wait)
    asking = replace(HEARD, heard=frozenset({newer}), asking=frozenset({newer}))
    assert step(floor=asking) == Propose(Group(newer, Change.FORMED))


def test_who_is_over_by_the_plan_leaves_and_its_data_are_free() -> None:
    found = step(floor=replace(HEARD, over=frozenset({B})))
    assert found == Propose(Group(B, Change.RETIRED))
    assert isinstance(found, Propose)
    after = BOOKS.after(found.body)
    assert after.data.count(Fate.FREE) == 36
    # Though it still asks and is heard, it does not come back.
    assert isinstance(step(books=after, floor=replace(HEARD, over=frozenset({B}))), Wait)


def test_a_round_is_closed_once_all_are_there_or_patience_ends() -> None:
    lead = pushed(A, Block(0, 4))
    assert step(lead) == Wait(100.0 + FIRST_SECONDS)
    both = pushed(B, Block(4, 8), lead=lead)
    assert step(both) == Combine((UpdateKey(A, 1), UpdateKey(B, 1)))
    known = replace(HEARD, habits={B: Habit(2.0, 0.1, known=True)})
    assert step(lead, floor=known) == Wait(102.5)
    assert step(lead, floor=known, now=102.5) == Combine((UpdateKey(A, 1),))
    # One that is new, or begins anew, holds nobody up for longer than those do who are known.
    new = replace(HEARD, habits={A: Habit(2.0, 0.1, known=True)})
    assert step(lead, floor=new) == Wait(102.5)
    # Who is not heard is not waited for; nor who has nothing to train on.
    assert step(lead, floor=replace(HEARD, heard=frozenset({A}))) == Combine((UpdateKey(A, 1),))
    idle = BOOKS.after(Return(B, (Block(4, 8),), Why.UNUSED))
    assert step(lead, books=idle) == Combine((UpdateKey(A, 1),))


@pytest.mark.parametrize(
    ("blocks", "base"),
    [
        ((Block(4, 8),), 0),
        ((Block(0, 3), Block(2, 4)), 0),
        ((Block(3, 1), Block(0, 4)), 0),
        ((Block(0, 4),), 1),
        ((Block(0, 4),), -1),
    ],
    ids=["data of another", "data twice", "data backwards", "a version to come", "one before all"],
)
def test_what_can_never_be_merged_is_refused_and_what_is_leased_is_free(
    blocks: tuple[Block, ...], base: int
) -> None:
    found = step(pushed(A, *blocks, base=base))
    assert isinstance(found, Propose) and isinstance(found.body, Return)
    assert (found.body.why, found.body.seq) == (Why.REFUSED, 1)
    after = BOOKS.after(found.body)
    assert after.group(A).settled == 1 and after.data.of(B) == (Block(4, 8),)


def test_of_data_of_their_own_groups_end_by_their_word_and_the_job_when_all_in_the_plan_have() -> None:
    """Not before one that is away has: it has data that nobody else has. Nor while nobody has begun."""
    none, floor = Books(DataRecord.fresh(0, 1)), Floor(100.0, BOTH, planned=frozenset("ab"))
    assert isinstance(step(books=none, floor=floor), Wait)
    books = none.fold([Group(A, Change.FORMED), Group(B, Change.FORMED)])
    floor = replace(floor, ending=BOTH)
    for left in (A, B):
        assert isinstance(step(books=books, floor=replace(floor, ending=frozenset())), Wait)
        assert step(books=books, floor=floor) == Propose(Group(left, Change.ENDED))
        books = books.after(Group(left, Change.ENDED))
    assert step(books=books, floor=replace(floor, planned=frozenset("abc"))) == Wait(101.0 + LOOK_SECONDS)
    assert step(books=books, floor=floor) == Propose(Last(0))


def test_a_round_waits_for_groups_with_data_of_their_own_that_are_in_it() -> None:
    books = Books(DataRecord.fresh(0, 1)).fold([Group(A, Change.FORMED), Group(B, Change.FORMED)])
    assert isinstance(step(pushed(A, books=books), books, HEARD), Wait)
    both = pushed(B, lead=pushed(A, books=books), books=books)
    assert step(both, books, HEARD) == Combine((UpdateKey(A, 1), UpdateKey(B, 1)))
    ended = books.after(Group(B, Change.ENDED))
    assert step(pushed(A, books=ended), ended, HEARD) == Combine((UpdateKey(A, 1),))


def test_the_end_is_written_once_and_looked_at_no_more_than_now_and_then() -> None:
    small = Books(DataRecord.fresh(4, 1)).fold([Group(A, Change.FORMED), Lease(A, (Block(0, 4),))])
    lead = pushed(A, Block(0, 4), books=small)
    done = small.after(lead.merge(lead.arrived(), small, "v"))
    lead = lead.settle(done)
    alone = Floor(100.0, frozenset({A}), frozenset({A}))
    assert step(lead, done, alone) == Propose(Last(1))
    assert step(lead, done.after(Last(1)), alone) == Wait(101.0 + LOOK_SECONDS)


@given(
    free=st.integers(0, 60),
    wants=st.dictionaries(
        st.sampled_from([A, B, History(1, "c", 1)]), st.builds(Want, st.integers(0, 50), st.integers(1, 9))
    ),
)
def test_leases_are_no_more_than_wanted_and_nobody_starves(free: int, wants: dict[History, Want]) -> None:
    books = Books(DataRecord.fresh(60, 1)).fold([Group(A, Change.FORMED), Group(B, Change.FORMED)])
    if free < 60:
        books = books.after(Lease(B, (Block(0, 60 - free),)))
    given_ = leases(books, wants)
    after = books
    for lease in given_:
        after = after.after(lease)
    for history in (A, B):
        most = max(wants.get(history, Want(0, 1)).leased, books.data.count(history))
        assert after.data.count(history) <= most
    wanting = [h for h in (A, B) if h in wants and wants[h].leased > books.data.count(h)]
    assert bool(given_) == bool(wanting and free)


@given(st.lists(st.floats(0.1, 10.0), min_size=1))
def test_patience_is_beyond_what_was_seen_on_average(seen: list[float]) -> None:
    habit = Habit()
    assert habit.patience == FIRST_SECONDS
    for seconds in seen:
        habit = habit.seen(seconds)
    assert habit.mean + LEAST_SECONDS <= habit.patience <= 60.0
    assert min(seen) - 1e-9 <= habit.mean <= max(seen) + 1e-9
