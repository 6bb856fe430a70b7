"""Whatever log groups and lead come to within bounds: cut anywhere that it may be, it means the same."""

from collections.abc import Iterator

import pytest

from edgetrain.rounds.books import Books, NotAdmissible
from edgetrain.rounds.compaction import CompactionRules, cut_at
from edgetrain.rounds.log import Entry, Log
from edgetrain.rounds.reading import Reading, page
from tests.model.rounds_world import RoundsBounds, RoundsWorld
from tests.model.search import itself, search


def reached(bounds: RoundsBounds) -> list[Log]:
    """Each log that is reached, all of it committed."""
    world = RoundsWorld(bounds)
    found: dict[tuple[int, ...], Log] = {}

    def visit(log: tuple[int, ...]) -> None:
        entries = tuple(Entry(1, i + 1, "", world.thing(number)) for i, number in enumerate(log))
        found[log] = Log(1, entries, len(log), books=world.folded(()))

    search(
        world.start(),
        world.successors,
        itself,
        lambda _: 0,
        lambda state: visit(state.log),
        most=500_000,
        hunt=False,
    )
    return list(found.values())


def books_at(log: Log, known: int) -> Books:
    assert log.books is not None
    return log.books.fold(entry.body for entry in log.entries[:known] if entry.body)


def test_who_has_read_any_part_of_it_reads_the_same_from_a_log_cut_anywhere() -> None:
    logs = reached(RoundsBounds(2, reissues=1))
    assert len(logs) > 30
    for log in logs:
        all_of_it = Reading(books_at(log, log.committed), log.committed)
        for cut in range(log.committed + 1):
            left = log.forget(cut)
            assert (left.books, left.last, left.at(cut)) == (books_at(log, cut), log.last, log.at(cut))
            for known in range(log.committed + 1):
                assert Reading(books_at(log, known), known).on_page(page(left, known)) == all_of_it


def cuts(log: Log, rules: CompactionRules) -> Iterator[Log]:
    """The log as it may be cut now, and as it may have been cut before."""
    for committed in range(log.committed + 1):
        before = Log(1, log.entries[:committed], committed, books=log.books)
        yield log.forget(cut_at(before, 0, rules))


def resumed(log: Log, version: int) -> Books:
    assert log.books is not None
    return log.books.as_of(version, [entry.body for entry in log.entries if entry.body], 2)


class CutsToTheNewestVersion(CompactionRules):
    """What is committed is safe: a majority of the council has it."""

    def counts(self, version: int, durable: int) -> bool:
        return True


def test_who_resumes_from_the_durable_version_finds_its_books_in_a_log_that_was_cut() -> None:
    logs = [log for log in reached(RoundsBounds(2, durables=1)) if books_at(log, log.committed).durable]
    assert len(logs) > 20
    assert any(left.cut.index for log in logs for left in cuts(log, CompactionRules()))
    for log in logs:
        durable = books_at(log, log.committed).durable
        for left in cuts(log, CompactionRules()):
            assert resumed(left, durable) == resumed(log, durable)


def test_a_log_cut_to_the_newest_version_is_noticed() -> None:
    logs = [log for log in reached(RoundsBounds(2, durables=1)) if books_at(log, log.committed).durable]
    with pytest.raises(NotAdmissible, match="there is no version"):
        for log in logs:
            for left in cuts(log, CutsToTheNewestVersion()):
                resumed(left, books_at(log, log.committed).durable)
