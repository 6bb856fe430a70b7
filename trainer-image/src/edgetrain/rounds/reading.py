"""How who is not in the council reads the log: entry by entry, or the books where entries are cut off."""

from dataclasses import dataclass, replace
from typing import Self

from edgetrain.rounds.books import Books
from edgetrain.rounds.entries import Body
from edgetrain.rounds.log import Log


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
