"""The log of one holder: what it has promised and stored. Durable, before anything is said of it."""

from collections.abc import Sequence
from dataclasses import dataclass, replace
from typing import Self

from edgetrain.rounds.books import Books
from edgetrain.rounds.entries import NOBODY, Body, Council


@dataclass(frozen=True, order=True)
class Stamp:
    """Which entry: of two last ones the greater belongs to the log that counts."""

    term: int
    index: int


NOTHING = Stamp(0, 0)
"""Before the first entry."""


@dataclass(frozen=True)
class Entry:
    term: int
    """Of the lead that wrote it: there is one for each term, so the stamp alone tells two entries apart."""
    index: int
    """Counts from 1."""
    digest: str
    """Of the body, by whoever encodes it."""
    body: Body | None
    """None at a witness, which can tell entries apart and cannot hand them on."""

    @property
    def stamp(self) -> Stamp:
        return Stamp(self.term, self.index)

    @property
    def bare(self) -> Self:
        return replace(self, body=None)


class Contradiction(ValueError):
    """Somebody would have a committed entry overwritten, or leave a gap: never by the rules."""


@dataclass(frozen=True)
class Log:
    promised: int = 0
    """Nothing of a lower term is voted for or stored."""
    entries: tuple[Entry, ...] = ()
    """Those after the cut."""
    committed: int = 0
    """Entries up to this index are never overwritten."""
    cut: Stamp = NOTHING
    """The last entry of those that are forgotten, all of them committed."""
    books: Books | None = None
    """What those amount to; before the first entry what the job begins with. None at a witness, and at a
    newcomer that nobody has told anything."""

    @property
    def last(self) -> Stamp:
        return self.entries[-1].stamp if self.entries else self.cut

    def at(self, index: int) -> Stamp | None:
        """None beyond the end, and before the cut."""
        if index == self.cut.index:
            return self.cut
        place = index - self.cut.index - 1
        return self.entries[place].stamp if 0 <= place < len(self.entries) else None

    def after(self, index: int) -> tuple[Entry, ...]:
        """The entries behind `index`, which is not before the cut."""
        return self.entries[index - self.cut.index :]

    def council(self, index: int) -> Council:
        """By entries up to `index`. Nobody at a witness, which is counted and counts no one."""
        for entry in reversed(self.entries[: max(0, index - self.cut.index)]):
            if isinstance(entry.body, Council):
                return entry.body
        return self.books.council if self.books else NOBODY

    def follows(self, stamp: Stamp) -> bool:
        """Whether what a lead would have behind `stamp` goes on from this log. Before the cut it does: all
        that is committed is in a lead's log as well."""
        return stamp.index < self.cut.index or self.at(stamp.index) == stamp

    def promise(self, term: int) -> Self:
        return replace(self, promised=max(self.promised, term))

    def append(self, body: Body, digest: str) -> Self:
        """For the lead, in the term that it has promised to itself."""
        entry = Entry(self.promised, self.last.index + 1, digest, body)
        return replace(self, entries=(*self.entries, entry))

    def store(self, entries: Sequence[Entry]) -> Self:
        """Have these, which begin within the log or right behind it, and drop what contradicts them.

        What they do not contradict stays, also beyond their end: they may have come late, and more since.

        Raises:
            Contradiction: a committed entry would be overwritten, or they are not in a row with the log.
        """
        begin, last = entries[0].index if entries else 1, self.last.index
        if begin > last + 1 or any(entry.index != begin + i for i, entry in enumerate(entries)):
            raise Contradiction(f"entries {[e.index for e in entries]} do not follow {last}")
        for entry in entries:
            stamp = self.at(entry.index)
            if entry.index <= self.cut.index or stamp == entry.stamp:
                continue
            if entry.index <= self.committed:
                raise Contradiction(f"entry {entry.index} is committed in term {stamp and stamp.term}")
            kept = self.entries[: entry.index - self.cut.index - 1]
            return replace(self, entries=(*kept, *entries[entry.index - begin :]))
        return self

    def commit(self, index: int) -> Self:
        return replace(self, committed=max(self.committed, min(index, self.last.index)))

    def forget(self, index: int) -> Self:
        """Without the entries up to `index`, all of which are committed."""
        gone = self.entries[: max(0, index - self.cut.index)]
        if not gone:
            return self
        books = self.books and self.books.fold(entry.body for entry in gone if entry.body)
        return replace(self, entries=self.entries[len(gone) :], cut=gone[-1].stamp, books=books)

    def begin(self, cut: Stamp, books: Books | None) -> Self:
        """Have `books` in place of the entries up to `cut`, all of which are committed: for who lacks them.
        What is stored behind it stays if it is of that log."""
        kept = self.after(cut.index) if self.at(cut.index) == cut else ()
        return replace(self, entries=kept, committed=cut.index, cut=cut, books=books)
