"""Single histories of a council, where one tells more than all of them."""

from dataclasses import replace

import pytest

from edgetrain.rounds.books import Books
from edgetrain.rounds.council import CouncilMember, Tell
from edgetrain.rounds.council_messages import Call, Refusal, Stored
from edgetrain.rounds.council_rules import CouncilRules
from edgetrain.rounds.data_record import DataRecord
from edgetrain.rounds.entries import Council as CouncilEntry
from edgetrain.rounds.entries import Settings
from edgetrain.rounds.log import NOTHING, Contradiction, Entry, Log, Stamp
from edgetrain.rounds.succession import CALL_SECONDS, calls_at

BOOKS = Books(DataRecord.fresh(1, 1))


class Council:
    def __init__(
        self, names: str, rules: CouncilRules | None = None, witness: str = "", newcomers: str = ""
    ) -> None:
        founders = CouncilEntry(frozenset(names) - {witness}, witness)
        books = replace(BOOKS, council=founders)
        self.members = {
            name: CouncilMember(
                name,
                Log(books=books if name in founders.holders else None),
                witness=name == witness,
                rules=rules or CouncilRules(),
            )
            for name in names + newcomers
        }

    def __getitem__(self, name: str) -> CouncilMember:
        return self.members[name]

    def call(self, caller: str, term: int, heard_by: str) -> None:
        self.members[caller], told = self[caller].call(term)
        self.pass_on(told, heard_by + caller)

    def propose(self, lead: str) -> None:
        log = self[lead].log
        assert log.books is not None
        number = log.books.fold(entry.body for entry in log.entries if entry.body).settings.number
        self.members[lead] = self[lead].propose(Settings(number + 1, ""), "")

    def change(self, lead: str, names: str) -> None:
        self.members[lead] = self[lead].propose(CouncilEntry(frozenset(names)), "")

    def cut(self, lead: str, index: int) -> None:
        self.members[lead] = self[lead].cut(index)

    def tell(self, lead: str, holder: str, answers: bool = True) -> None:
        self.pass_on(self[lead].tell(holder), holder + lead * answers)

    def pass_on(self, told: tuple[Tell, ...], heard_by: str) -> None:
        for to, message in told:
            if to in heard_by:
                self.members[to], more = self[to].on_message(message)
                self.pass_on(more, heard_by)

    def log(self, name: str) -> list[Stamp]:
        return [entry.stamp for entry in self[name].log.entries]


class CountsOldAnswers(CouncilRules):
    def counts_stored(self, stored_in: int, term: int) -> bool:
        return True


@pytest.mark.parametrize(("rules", "committed"), [(CouncilRules(), 0), (CountsOldAnswers(), 2)])
def test_what_was_stored_in_an_old_term_is_not_counted(rules: CouncilRules, committed: int) -> None:
    """It takes five: of three, whatever one other has stored, a majority has. With the rule broken a later
    lead lacks a committed entry."""
    council = Council("abcde", rules)
    council.call("a", 1, "bc")
    council.propose("a")
    council.tell("a", "c", answers=False)
    council.call("e", 2, "bd")
    council.tell("e", "c")
    assert council.log("c") == [Stamp(2, 1)]
    council.call("a", 3, "c")
    council.call("a", 4, "bd")
    council.pass_on((Tell("a", Stored(1, "c", 2)),), "a")
    council.tell("a", "b")
    assert council["a"].log.committed == committed
    council.call("e", 5, "cd")
    assert council["e"].leads
    assert council.log("e") == [Stamp(2, 1), Stamp(5, 2)]
    assert council.log("a") == [Stamp(2, 1), Stamp(4, 2)]


class TakesOlderBooks(CouncilRules):
    def lacks(self, log: Log, cut: Stamp) -> bool:
        return True


@pytest.mark.parametrize(("rules", "committed"), [(CouncilRules(), 2), (TakesOlderBooks(), 1)])
def test_books_that_come_late_take_the_place_of_nothing_that_is_committed(
    rules: CouncilRules, committed: int
) -> None:
    council = Council("abc", rules)
    council.call("a", 1, "b")
    council.tell("a", "b")
    council.cut("a", 1)
    late = council["a"].tell("c")
    council.propose("a")
    for _ in range(2):
        council.tell("a", "c")
    council.pass_on(late, "c")
    assert council["c"].log.committed == committed


def test_a_holder_that_lacks_what_is_cut_off_is_given_the_books() -> None:
    council = Council("abc")
    council.call("a", 1, "b")
    council.propose("a")
    council.tell("a", "b")
    council.cut("a", 2)
    council.propose("a")
    council.tell("a", "c")
    assert (council["c"].log.cut, council.log("c")) == (Stamp(1, 2), [Stamp(1, 3)])
    assert council["c"].log.books == council["a"].log.books
    assert council["c"].log.committed == 2


def test_a_caller_that_lacks_what_is_cut_off_is_given_the_books_with_the_refusal() -> None:
    council = Council("abc")
    council.call("a", 1, "b")
    council.tell("a", "b")
    council.cut("a", 1)
    council.call("c", 2, "a")
    assert not council["c"].leads
    council.call("c", 3, "b")
    assert council["c"].leads
    assert council.log("c") == [Stamp(3, 2)]


def test_a_witness_forgets_with_the_lead_and_still_refuses_who_lacks_that() -> None:
    council = Council("abw", witness="w")
    council.call("a", 1, "w")
    council.tell("a", "w")
    council.cut("a", 1)
    council.tell("a", "w")
    assert council["w"].log == Log(1, committed=1, cut=Stamp(1, 1))
    council.call("b", 2, "w")
    assert not council["b"].leads
    assert council["b"].log.cut == Stamp(0, 0)
    council.call("b", 3, "aw")
    council.call("b", 4, "w")
    assert council["b"].leads


def test_only_a_lead_cuts_and_only_what_is_committed() -> None:
    council = Council("abc")
    council.call("a", 1, "b")
    for name in "ab":
        with pytest.raises(ValueError, match="cannot forget entries up to 1"):
            council.cut(name, 1)


def test_two_without_a_witness_commit_only_together() -> None:
    council = Council("ab")
    council.call("a", 1, "b")
    council.propose("a")
    assert council["a"].log.committed == 0
    council.tell("a", "b")
    assert council["a"].log.committed == 2
    council.call("b", 2, "")
    assert not council["b"].leads


def test_a_witness_lets_one_of_two_go_on_and_the_other_not_before_it_knows_all() -> None:
    council = Council("abw", witness="w")
    council.call("a", 1, "w")
    council.propose("a")
    council.tell("a", "w")
    assert council["a"].log.committed == 2
    assert [entry.body for entry in council["w"].log.entries] == [None, None]
    council.call("b", 2, "w")
    assert not council["b"].leads
    council.call("b", 3, "a")
    assert council.log("b") == council.log("a")
    council.call("b", 4, "w")
    assert council["b"].leads
    with pytest.raises(ValueError, match="cannot call"):
        council["w"].call(9)


def test_what_one_holder_has_committed_with_the_witness_alone_is_not_gone_on_without() -> None:
    council = Council("abw", witness="w")
    council.call("a", 1, "w")
    council.propose("a")
    council.tell("a", "w")
    council.members["a"] = council["a"].lost("c")
    council.call("b", 2, "aw")
    assert not council["b"].leads
    assert council.log("b") == []


def test_a_lead_that_was_superseded_learns_so_and_writes_nothing_more() -> None:
    council = Council("abc")
    council.call("a", 1, "b")
    council.call("b", 2, "c")
    assert council["a"].leads
    council.tell("a", "c")
    assert not council["a"].leads
    assert council.log("c") == []
    with pytest.raises(ValueError, match="does not lead"):
        council.propose("a")


def test_who_has_lost_its_disk_is_not_counted_as_who_it_was() -> None:
    council = Council("abc")
    council.members["d"] = council.members.pop("c").lost("d")
    council.pass_on((Tell("d", Call(1, "a", NOTHING, 0)),), "ad")
    council.call("a", 2, "d")
    assert not council["a"].leads
    council.call("a", 3, "b")
    council.tell("a", "b")
    council.change("a", "ab")
    council.tell("a", "b")
    council.change("a", "abd")
    council.tell("a", "d")
    assert council["a"].council == council["d"].council == {"a", "b", "d"}
    assert council["a"].log.committed == 3


class CountsByWhatIsCommitted(CouncilRules):
    def council(self, log: Log) -> CouncilEntry:
        return log.council(log.committed)


@pytest.mark.parametrize(("rules", "committed"), [(CouncilRules(), 2), (CountsByWhatIsCommitted(), 1)])
def test_who_is_gone_of_two_is_left_behind_by_the_other_alone_where_it_leads(
    rules: CouncilRules, committed: int
) -> None:
    """A change counts when it is stored: the one that is gone would be asked for its own leave."""
    council = Council("ab", rules)
    council.call("a", 1, "b")
    council.tell("a", "b")
    council.change("a", "a")
    assert council["a"].log.committed == committed


def test_a_lead_that_leaves_leads_until_the_others_have_that() -> None:
    council = Council("abc")
    council.call("a", 1, "b")
    council.tell("a", "b")
    council.change("a", "bc")
    council.tell("a", "b")
    assert (council["a"].leads, council["a"].log.committed) == (True, 1)
    council.tell("a", "c")
    assert (council["a"].leads, council["a"].log.committed) == (False, 2)
    with pytest.raises(ValueError, match="cannot call"):
        council["a"].call(9)
    council.call("b", 2, "c")
    assert council["b"].leads


def test_who_has_left_and_comes_again_leads_before_that_is_known_to_be_committed() -> None:
    council = Council("ab")
    council.call("a", 1, "b")
    council.tell("a", "b")
    council.change("a", "a")
    council.tell("a", "b")
    council.change("a", "ab")
    council.tell("a", "b", answers=False)
    council.call("b", 2, "a")
    assert council["b"].leads
    council.tell("b", "a")
    assert council["b"].log.committed == council["b"].log.last.index == 4


def test_a_newcomer_is_told_all_before_it_is_counted() -> None:
    council = Council("a", newcomers="b")
    council.call("a", 1, "")
    council.cut("a", 1)
    with pytest.raises(ValueError, match="cannot call"):
        council["b"].call(2)
    council.tell("a", "b")
    assert council["b"].log.books == council["a"].log.books
    council.change("a", "ab")
    assert council["a"].log.committed == 1
    council.tell("a", "b")
    assert council["a"].log.committed == 2


class ChangesBeforeItsTermIsCommitted(CouncilRules):
    """With the log that it has, whatever else there may be."""

    def own_term_is_committed(self, log: Log) -> bool:
        return True


def test_a_lead_changes_the_council_only_once_an_entry_of_its_term_is_committed() -> None:
    """It takes four: with the rule broken, two majorities that count by different councils do not meet."""
    council = Council("abcd", newcomers="e")
    council.call("a", 1, "bc")
    with pytest.raises(ValueError, match="cannot have"):
        council.change("a", "abcde")
    council = Council("abcd", ChangesBeforeItsTermIsCommitted(), newcomers="e")
    council.call("a", 1, "bc")
    council.change("a", "abcde")
    council.tell("a", "e")
    council.call("b", 2, "cd")
    council.change("b", "bcd")
    council.tell("b", "c")
    assert council["b"].log.committed == 2
    council.call("a", 3, "de")
    assert council["a"].leads
    assert Stamp(2, 2) not in council.log("a")


@pytest.mark.parametrize("names", ["abcde", "a", "abd", "", "abc"])
def test_one_comes_or_one_leaves(names: str) -> None:
    council = Council("abc")
    council.call("a", 1, "b")
    council.tell("a", "b")
    with pytest.raises(ValueError, match="cannot have"):
        council.change("a", names)


def test_a_change_waits_for_the_one_before() -> None:
    council = Council("abc")
    council.call("a", 1, "b")
    council.tell("a", "b")
    council.change("a", "abcd")
    with pytest.raises(ValueError, match="cannot have"):
        council.change("a", "abc")


def test_a_refusal_that_leaves_a_gap_is_passed_over() -> None:
    member = Council("abc")["a"]
    entry = Entry(3, 2, "", Settings(1, ""))
    assert member.on_message(Refusal(0, (entry,)))[0].log == member.log


@pytest.mark.parametrize("indices", [(2,), (1, 3), (1, 1)])
def test_entries_that_are_not_in_a_row_are_refused(indices: tuple[int, ...]) -> None:
    with pytest.raises(Contradiction, match="do not follow 0"):
        Log().store([Entry(1, index, "", Settings(1, "")) for index in indices])


def test_a_committed_entry_is_not_overwritten() -> None:
    log = Log(1).append(Settings(1, ""), "").commit(1)
    with pytest.raises(Contradiction, match="entry 1 is committed in term 1"):
        log.store([Entry(2, 1, "", Settings(1, ""))])


@pytest.mark.parametrize(
    ("name", "heard", "at"),
    [("a", "bc", 1), ("b", "ac", 2), ("b", "cw", 1), ("c", "ab", 3), ("a", "", None), ("c", "w", None)],
)
def test_each_in_the_line_waits_for_those_before_it_that_it_hears(
    name: str, heard: str, at: int | None
) -> None:
    due = calls_at(name, "abc", heard, 4, 100.0)
    assert due == (None if at is None else 100.0 + at * CALL_SECONDS)
