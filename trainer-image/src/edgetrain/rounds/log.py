"""The log of one holder: what it has promised and stored. Durable, before anything is said of it."""

from collections.abc import Sequence
from dataclasses import dataclass, replace
from typing import Self

from edgetrain.rounds.entries import Body


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
    committed: int = 0
    """Entries up to this index are never overwritten."""

    @property
    def last(self) -> Stamp:
        return self.entries[-1].stamp if self.entries else NOTHING

    def at(self, index: int) -> Stamp | None:
        """None beyond the end."""
        if index == 0:
            return NOTHING
        return self.entries[index - 1].stamp if index <= len(self.entries) else None

    def promise(self, term: int) -> Self:
        return replace(self, promised=max(self.promised, term))

    def append(self, body: Body, digest: str) -> Self:
        """For the lead, in the term that it has promised to itself."""
        entry = Entry(self.promised, len(self.entries) + 1, digest, body)
        return replace(self, entries=(*self.entries, entry))

    def store(self, entries: Sequence[Entry]) -> Self:
        """Have these, which begin within the log or right behind it, and drop what contradicts them.

        What they do not contradict stays, also beyond their end: they may have come late, and more since.

        Raises:
            Contradiction: a committed entry would be overwritten, or they are not in a row with the log.
        """
        begin = entries[0].index if entries else 1
        if begin > len(self.entries) + 1 or any(entry.index != begin + i for i, entry in enumerate(entries)):
            raise Contradiction(f"entries {[e.index for e in entries]} do not follow {len(self.entries)}")
        stored = self.entries
        for entry in entries:
            if self.at(entry.index) == entry.stamp:
                continue
            if entry.index <= self.committed:
                raise Contradiction(
                    f"entry {entry.index} is committed in term {stored[entry.index - 1].term}"
                )
            return replace(self, entries=(*stored[: entry.index - 1], *entries[entry.index - begin :]))
        return self

    def commit(self, index: int) -> Self:
        return replace(self, committed=max(self.committed, min(index, len(self.entries))))
