"""How who is not in the council reads the log: entry by entry, or the books where entries are cut off."""

from dataclasses import dataclass, replace
from typing import Self

from edgetrain.rounds.books import Books
from edgetrain.rounds.entries import Body
from edgetrain.rounds.log import Log


def books_of(log: Log, before: Log | None = None, books: Books | None = None) -> Books:
    """What a log amounts to, entries included that are not committed. Where `books` are given, of a log
    `before` that this one goes on from, only what is new is read.

    Raises:
        ValueError: a witness is asked, who has no bodies.
    """
    if log.books is None:
        raise ValueError("a log without bodies amounts to nothing")
    entries, begin = log.entries, log.books
    if before is not None and books is not None and before.cut == log.cut:
        known = len(before.entries)
        if entries[:known] == before.entries:
            entries, begin = entries[known:], books
    return begin.fold(entry.body for entry in entries if entry.body)


@dataclass(frozen=True)
class Page:
    """Committed entries behind the first `after`."""

    after: int
    bodies: tuple[Body, ...]
    books: Books | None = None
    """What the first `after` amount to, for who has not read so far."""


def page(log: Log, known: int) -> Page:
    """All that is committed, for who has read `known` entries. It is of a holder with bodies."""
    after = max(known, log.cut.index)
    committed = log.after(after)[: max(0, log.committed - after)]
    bodies = tuple(entry.body for entry in committed if entry.body)
    return Page(after, bodies, log.books if known < log.cut.index else None)


@dataclass(frozen=True)
class Reading:
    """Of one log, from the books that it begins with."""

    books: Books
    known: int = 0
    """Entries that these contain."""

    def on_page(self, page: Page) -> Self:
        """Pages come in any order, and twice. One that leaves a gap, and has no books for it, is passed
        over."""
        reading = self
        if page.books is not None and page.after > self.known:
            reading = replace(self, books=page.books, known=page.after)
        news = page.bodies[max(0, reading.known - page.after) :]
        if page.after > reading.known or not news:
            return reading
        return replace(reading, books=reading.books.fold(news), known=reading.known + len(news))
