"""What may follow in the log of merges, and what may not, whoever leads."""

import pytest

from edgetrain.data import Block
from edgetrain.rounds.book_rules import Settlement
from edgetrain.rounds.books import Books, NotAdmissible
from edgetrain.rounds.data_record import DataRecord, Fate
from edgetrain.rounds.entries import (
    Body,
    Change,
    Contribution,
    Durable,
    Group,
    Last,
    Lease,
    Merge,
    Opened,
    Return,
    Settings,
    UpdateKey,
    Why,
)
from edgetrain_protocol.history import History

A, B, A2 = History(1, "a", 1), History(1, "b", 1), History(1, "a", 2)
FIRST, SECOND = Block(0, 2), Block(2, 4)


def formed(*histories: History) -> Books:
    return Books(DataRecord.fresh(4, 1)).fold(Group(history, Change.FORMED) for history in histories)


def update(history: History, seq: int, *blocks: Block, base: int = 0) -> Contribution:
    return Contribution(UpdateKey(history, seq), f"{history.group}{seq}", base, blocks, steps=1)


def merge(version: int, *updates: Contribution, groups: int = 2, settings: int = 0) -> Merge:
    return Merge(version, version - 1, updates, groups, settings, f"v{version}")


LEASED = formed(A, B).fold([Lease(A, (FIRST,)), Lease(B, (SECOND,))])
HALF = LEASED.after(merge(1, update(A, 1, FIRST)))


def test_updates_of_all_are_one_version() -> None:
    books = LEASED.after(merge(1, update(A, 1, FIRST), update(B, 1, SECOND)))
    assert books.version == 1
    assert books.data.done
    assert [(group.settled, group.since) for group in books.groups] == [(1, 1), (1, 1)]


def test_a_late_update_is_merged_from_an_older_base() -> None:
    assert HALF.after(merge(2, update(B, 1, SECOND))).data.done


@pytest.mark.parametrize(
    ("books", "entry", "why"),
    [
        (LEASED, merge(2, update(A, 1, FIRST)), "0 is the newest version"),
        (LEASED, merge(1), "nothing to merge"),
        (LEASED, merge(1, update(A, 1, FIRST), groups=1), "2 groups are on the books"),
        (LEASED, merge(1, update(A, 1, FIRST), settings=1), "settings 0 are in force"),
        (LEASED, merge(1, update(A, 1, SECOND)), "leased to lineage 1, group b"),
        (LEASED, merge(1, update(A, 1, FIRST), update(A, 2)), "not a version from 1 to 0"),
        (LEASED, merge(1, update(A2, 1, FIRST)), "not on the books"),
        (LEASED, merge(1, update(A, 2, FIRST)), "not its next one"),
        (HALF, merge(2, update(A, 1, FIRST, base=1)), "not its next one"),
        (HALF, merge(2, update(A, 2, FIRST, base=1)), "merged, not leased"),
        (HALF, merge(2, update(A, 2, base=0)), "not a version from 1 to 1"),
        (HALF, merge(2, update(B, 1, SECOND, base=2)), "not a version from 0 to 1"),
        (LEASED, Lease(A, (SECOND,)), "leased to lineage 1, group b"),
        (LEASED, Lease(A2, ()), "not on the books"),
        (LEASED, Return(A, (SECOND,), Why.UNUSED), "group b"),
        (LEASED, Return(A, (FIRST,), Why.REFUSED, seq=2), "update 0 is its last that is settled"),
        (LEASED, Return(A, (FIRST,), Why.UNUSED, seq=1), "update 0 is its last that is settled"),
        (LEASED, Settings(2, ""), "settings 0 are in force"),
        (LEASED, Durable(1, ("n1", "n2")), "no newer version"),
        (HALF, Last(1), "not all data are merged"),
        (LEASED, Group(A, Change.FORMED), "is on the books"),
        (LEASED, Group(History(1, "c", 1), Change.SPLIT, A2), "not on the books"),
        (LEASED, Group(History(1, "c", 1), Change.SPLIT), "off another group"),
        (LEASED, Group(A, Change.FOLDED, B), "data that are not merged"),
        (HALF, Group(A, Change.FOLDED), "into another group"),
    ],
)
def test_what_does_not_follow_is_refused_with_the_reason(books: Books, entry: Body, why: str) -> None:
    assert why in books.refuses(entry)
    with pytest.raises(NotAdmissible, match=why):
        books.after(entry)


def test_a_new_generation_ends_the_one_before_with_what_it_had_not_merged() -> None:
    books = HALF.after(Group(History(1, "b", 2), Change.FORMED))
    assert books.data.of(Fate.FREE) == (SECOND,)
    assert books.data.reissued == 2
    assert books.refuses(merge(2, update(B, 1, SECOND)))
    assert books.group(History(1, "b", 2)).since == 1


def test_an_update_that_was_refused_is_not_merged_when_its_data_are_leased_again() -> None:
    refused = LEASED.fold([Return(A, (FIRST,), Why.REFUSED, seq=1), Lease(A, (FIRST,))])
    assert refused.refuses(merge(1, update(A, 1, FIRST)))
    assert refused.after(merge(1, update(A, 2, FIRST))).data.reissued == 2


def test_data_given_back_unused_are_not_counted_as_issued_twice() -> None:
    books = LEASED.after(Return(A, (FIRST,), Why.UNUSED))
    assert books.data.reissued == 0
    assert books.after(Lease(B, (FIRST,))).data.count(B) == 4


def test_a_split_leaves_all_unmerged_work_with_the_group_it_is_off() -> None:
    c = History(1, "c", 1)
    books = LEASED.after(Group(c, Change.SPLIT, A))
    assert not books.data.count(c)
    assert not books.refuses(merge(1, update(A, 1, FIRST), groups=3))


def test_a_fold_takes_a_group_with_nothing_unmerged_off_the_books() -> None:
    books = HALF.after(Group(A, Change.FOLDED, B))
    assert [group.history for group in books.groups] == [B]
    assert not books.refuses(merge(2, update(B, 1, SECOND), groups=1))


def test_who_begins_anew_from_a_version_has_the_data_as_of_that_one() -> None:
    bodies: list[Body] = [merge(1, update(A, 1, FIRST)), merge(2, update(B, 1, SECOND)), Last(2)]
    books = LEASED.as_of(1, bodies, 2)
    assert (books.version, books.groups, books.last) == (1, (), False)
    assert books.data.of(Fate.FREE) == (SECOND,)
    assert (books.data.reissued, books.lineage) == (2, 2)
    assert "of lineage 2" in books.refuses(Group(History(1, "a", 2), Change.FORMED))
    anew = History(2, "a", 1)
    books = books.fold([Group(anew, Change.FORMED), Lease(anew, (SECOND,))])
    assert books.after(merge(2, update(anew, 1, SECOND, base=1), groups=1)).data.done
    assert "books, which are of lineage 2" in books.refuses(merge(2, update(B, 1, SECOND), groups=1))
    with pytest.raises(NotAdmissible, match="does not come after 1"):
        LEASED.as_of(1, bodies, 1)
    with pytest.raises(NotAdmissible, match="no version 3"):
        LEASED.as_of(3, bodies, 2)


def test_after_the_last_version_nothing_is_merged_or_leased() -> None:
    done = LEASED.after(merge(1, update(A, 1, FIRST), update(B, 1, SECOND)))
    books = done.fold([Last(1), Opened("h1"), Durable(1, ("n1",))])
    assert books.durable == 1
    assert "was the last" in books.refuses(Settings(1, "more"))


def test_what_is_leased_when_a_lineage_ends_is_free_once_and_counted_once() -> None:
    returned = LEASED.fold([Return(A, (FIRST,), Why.REISSUED, seq=1), Lease(A, (FIRST,))])
    anew = returned.as_of(0, [], 2)
    assert anew.data.of(Fate.FREE) == (Block(0, 4),)
    assert anew.data.reissued == 2 + 4
    assert anew.as_of(0, [], 3).data == anew.data


class TestDataOfTheirOwn:
    BOOKS = Books(DataRecord.fresh(0, 3)).fold([Group(A, Change.FORMED), Group(B, Change.FORMED)])

    def test_work_is_merged_and_refused_without_any_data_of_the_jobs(self) -> None:
        books = self.BOOKS.after(merge(1, update(A, 1), update(B, 1)))
        assert (books.version, books.data.total, books.own_data) == (1, 0, True)
        refused = books.after(Return(A, (), Why.REFUSED, 2))
        assert refused.settlement(UpdateKey(A, 2)) is Settlement.RETURNED
        assert "not in the run" in books.refuses(merge(2, update(A, 2, FIRST, base=1)))
        assert "not in the run" in books.refuses(Lease(A, (FIRST,)))

    def test_who_has_ended_is_on_the_books_no_more_nor_is_a_later_generation_of_it(self) -> None:
        books = self.BOOKS.after(Group(A, Change.ENDED))
        assert books.ended == ("a",) and not books.has(A)
        for history in (A, A2):
            assert "has trained on all data of its own" in books.refuses(Group(history, Change.FORMED))
        assert "has trained on all" in books.refuses(merge(1, update(A, 1), groups=1))
        assert not books.refuses(merge(1, update(B, 1), groups=1))

    def test_the_last_version_comes_when_all_have_ended_and_one_has(self) -> None:
        books = self.BOOKS.after(Group(A, Change.ENDED))
        assert "groups train on data of their own" in books.refuses(Last(0))
        assert not books.refuses(Group(B, Change.ENDED))
        assert not books.after(Group(B, Change.ENDED)).refuses(Last(0))
        gone = self.BOOKS.fold([Group(A, Change.RETIRED), Group(B, Change.RETIRED)])
        assert "groups train on data of their own" in gone.refuses(Last(0)), "nobody has come to its end"

    def test_nobody_ends_so_whose_data_are_the_jobs(self) -> None:
        assert "its data are not its own" in LEASED.refuses(Group(A, Change.ENDED))
