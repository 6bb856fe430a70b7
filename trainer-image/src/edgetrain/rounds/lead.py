"""What the lead of the rounds has in hand, and what it writes next. All of it is forgotten with its term:
groups push again.

It proposes; the council commits. Books are those of the whole log, entries included that are not committed
yet.
"""

from collections.abc import Collection
from dataclasses import dataclass, field, replace
from typing import Self

from edgetrain.rounds.blocks import count, without
from edgetrain.rounds.books import Books
from edgetrain.rounds.entries import Body, Contribution, Last, Lease, Merge, Return, UpdateKey, Why
from edgetrain_protocol.history import History


class LeadRules:
    """The rules, one method each, so that a test can break one and see that the exploration notices."""

    def same(self, one: Contribution, other: Contribution) -> bool:
        """Whether parts of two pushes make up one update: not where a successor has encoded it anew."""
        return one == other

    def beside(self, held: Contribution, come: Contribution) -> bool:
        """Whether parts of two attempts at one update are kept beside each other. Of each part one is:
        holders have room for one update of each group, however often its envoys are lost."""
        return held.key != come.key

    def shows(self, body: Body, committed: bool) -> bool:
        """Whether groups are told of an entry. One that is not committed may yet be another."""
        return committed


@dataclass(frozen=True)
class Staged:
    update: Contribution
    parts: frozenset[int]
    """Which shards' holders have theirs whole."""


@dataclass(frozen=True)
class Lead:
    shards: int
    staged: tuple[Staged, ...] = ()
    """In order of arrival."""
    rules: LeadRules = field(default_factory=LeadRules, compare=False, hash=False)

    # --- updates

    def on_part(self, update: Contribution, part: int, books: Books) -> Self:
        """A shard's holder has its part of a push whole. What is settled is dropped: it may have come late;
        and so is what comes beside an attempt that is whole, or later than the same part of a newer one."""
        if self.whole(update.key) or not self._has_room(update, part):
            return self.settle(books)
        known = next(
            (s for s in self.staged if self.rules.same(s.update, update)), Staged(update, frozenset())
        )
        rest = (self._left(s, update, part) for s in self.staged if s.update != known.update)
        staged = (*(s for s in rest if s.parts), replace(known, parts=known.parts | {part}))
        return replace(self, staged=staged).settle(books)

    def _has_room(self, update: Contribution, part: int) -> bool:
        """Unless a newer attempt has that part, or this one."""
        others = (s.update for s in self.staged if part in s.parts)
        return all(self.rules.beside(held, update) or update.attempt > held.attempt for held in others)

    def _left(self, staged: Staged, come: Contribution, part: int) -> Staged:
        kept = self.rules.beside(staged.update, come)
        return staged if kept else replace(staged, parts=staged.parts - {part})

    def refuses(self, key: UpdateKey, books: Books) -> str:
        """Why a push is not taken; empty if it is. The sender stops pushing it: it reads the log, and learns
        there what has become of its update, or of its group."""
        if not books.has(key.history):
            return books.why_not(key.history)
        settled = books.group(key.history).settled
        return "" if key.seq == settled + 1 else f"update {settled} is the last that is settled"

    def whole(self, key: UpdateKey) -> Contribution | None:
        """The attempt at it that all shards hold, if one is."""
        found = (s.update for s in self.staged if s.update.key == key and len(s.parts) == self.shards)
        return next(found, None)

    def arrived(self) -> tuple[UpdateKey, ...]:
        """Updates that are whole, in order of arrival."""
        return tuple(dict.fromkeys(s.update.key for s in self.staged if self.whole(s.update.key)))

    def settle(self, books: Books) -> Self:
        """Without what is merged, refused, or of a generation that is over."""
        return replace(self, staged=tuple(s for s in self.staged if not self.refuses(s.update.key, books)))

    # --- entries

    def merge(
        self, keys: Collection[UpdateKey], books: Books, digest: str, leases: tuple[Lease, ...] = ()
    ) -> Merge:
        """The entry that closes a round with these.

        Raises:
            ValueError: one of them is not whole.
        """
        updates = [self.whole(key) for key in sorted(keys)]
        contributions = tuple(update for update in updates if update)
        if len(contributions) < len(updates):
            raise ValueError("an update that is not whole cannot be merged")
        version, settings = books.version, books.settings.number
        return Merge(version + 1, version, contributions, len(books.groups), settings, digest, leases)

    def refusal(self, books: Books, most_behind: int) -> Return | None:
        """For an update that cannot be merged any more: its base is too old, or its data are another's. What
        it contains that is still leased to its group is free again."""
        for key in self.arrived():
            update = self.whole(key)
            assert update is not None
            if _cannot_be_merged(update, books, most_behind):
                return self.refused(update, books)
        return None

    def refused(self, update: Contribution, books: Books) -> Return:
        """The entry that says so, while it is the next of its group."""
        mine = books.data.of(update.key.history)
        blocks = (block for block in update.blocks if block.start < block.stop)
        back = without(mine, without(mine, blocks))
        return Return(update.key.history, back, Why.REFUSED, update.key.seq)

    def reissue(self, history: History, books: Books) -> Return | None:
        """For a group that is away for too long, where the job would rather see data twice than wait for it:
        all that is leased to it. What it pushes next is not merged any more."""
        blocks = books.data.of(history)
        return Return(history, blocks, Why.REISSUED, books.group(history).settled + 1) if blocks else None

    def last(self, books: Books) -> Body | None:
        """The end, once all data are merged."""
        return Last(books.version) if books.data.done and not books.last else None


def _cannot_be_merged(update: Contribution, books: Books, most_behind: int) -> bool:
    mine, blocks = books.data.of(update.key.history), update.blocks
    # Blocks that overlap leave more of what is leased than their sizes say.
    theirs = count(without(mine, blocks)) == count(mine) - count(blocks)
    oldest = max(books.group(update.key.history).since, books.version - most_behind)
    in_order = all(start < stop for start, stop in blocks)
    return not (theirs and in_order and oldest <= update.base <= books.version)
