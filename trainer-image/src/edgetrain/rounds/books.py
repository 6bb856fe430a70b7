"""What a log amounts to: a pure fold of its entries. Two who hold the same entries hold the same books."""

from collections.abc import Iterable
from dataclasses import dataclass, field, replace
from functools import reduce
from typing import Self, TypeVar

from edgetrain.rounds.book_rules import BookRules, OnBooks, Settlement
from edgetrain.rounds.data_record import DataRecord, Fate, NotTheirs
from edgetrain.rounds.entries import (
    NOBODY,
    Body,
    Change,
    Contribution,
    Council,
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

NO_SETTINGS = Settings(0, "")
T = TypeVar("T")


class NotAdmissible(ValueError):
    """An entry that must not be written after those before it."""


@dataclass(frozen=True)
class Books:
    data: DataRecord
    version: int = 0
    digest: str = ""
    """Of the newest version's merged update."""
    groups: tuple[OnBooks, ...] = ()
    """In order."""
    settings: Settings = NO_SETTINGS
    durable: int = 0
    last: bool = False
    council: Council = NOBODY
    lineage: int = 1
    ended: tuple[str, ...] = ()
    """Names of groups that have trained on all data of their own, in order."""
    rules: BookRules = field(default_factory=BookRules, compare=False, hash=False)

    @property
    def own_data(self) -> bool:
        """Whether each group has data of its own: none are leased."""
        return not self.data.samples

    def has(self, history: History) -> bool:
        """Whether it is on the books."""
        return any(group.history == history for group in self.groups)

    def group(self, history: History) -> OnBooks:
        """
        Raises:
            NotAdmissible: it is not on the books.
        """
        found = next((group for group in self.groups if group.history == history), None)
        return _needs(found, self.why_not(history))

    def why_not(self, history: History) -> str:
        """Why nothing of it is merged, for whoever pushes; empty if it is on the books."""
        if self.has(history):
            return ""
        if history.group in self.ended:
            return f"{history.group} has trained on all data of its own"
        if self.rules.of_another(self, history):
            return f"{history} is not on the books, which are of lineage {self.lineage}"
        other = next((g.history for g in self.groups if g.history.group == history.group), None)
        return f"{history} is not on the books" + (f", {other} is" if other else "")

    def settlement(self, key: UpdateKey) -> Settlement:
        """What has become of the last update that its group has pushed.

        Raises:
            NotAdmissible: the group, or this generation of it, is not on the books.
        """
        return self.rules.settlement(self.group(key.history), key.seq)

    def fold(self, bodies: Iterable[Body]) -> Self:
        """
        Raises:
            NotAdmissible: one of them does not follow from those before it.
        """
        return reduce(lambda books, body: books.after(body), bodies, self)

    def as_of(self, version: int, bodies: Iterable[Body], lineage: int) -> Self:
        """What a new lineage begins with, from `version`, where nothing newer is left: what was leased then
        is free again, and no group is on the books. `self` are the books before the first of `bodies`.

        Who held the log holds it no more: a holder has another name in each lineage.

        Raises:
            NotAdmissible: no such version follows from them, or the lineage is not new.
        """
        _needs(lineage > self.lineage, f"lineage {lineage} does not come after {self.lineage}")
        books, bodies = self, tuple(bodies)
        for body in bodies:
            if books.version == version:
                break
            books = books.after(body)
        _needs(books.version == version, f"there is no version {version}")
        data = replace(
            self.rules.freed(books.data, [group.history for group in books.groups]),
            reissued=self._issued_in_vain(books, self.fold(bodies)),
        )
        return replace(books, data=data, groups=(), council=NOBODY, lineage=lineage, last=False)

    def _issued_in_vain(self, then: Self, newest: Self) -> int:
        """Positions that are issued anew though somebody may have trained on them, as far as is known:
        those returned for that reason, those leased now, and those merged since `then`."""
        leased = sum(newest.data.count(group.history) for group in newest.groups)
        merged = newest.data.count(Fate.MERGED) - then.data.count(Fate.MERGED)
        return newest.data.reissued + leased + merged

    def refuses(self, body: Body) -> str:
        """Why it must not be the next entry; empty if it may."""
        try:
            self.after(body)
        except NotAdmissible as why:
            return str(why)
        return ""

    def after(self, body: Body) -> Self:
        """
        Raises:
            NotAdmissible: it does not follow.
        """
        if self.last and not isinstance(body, Opened | Durable | Council):
            raise NotAdmissible(f"version {self.version} was the last")
        try:
            return self._after(body)
        except NotTheirs as why:
            raise NotAdmissible(str(why)) from why

    def _after(self, body: Body) -> Self:
        match body:
            case Merge():
                return self._merged(body)
            case Lease():
                return self._leased(body)
            case Return():
                return self._returned(body)
            case Group():
                return self._regrouped(body)
            case Settings(number):
                _needs(number == self.settings.number + 1, f"settings {self.settings.number} are in force")
                return replace(self, settings=body)
            case Durable(version):
                _needs(self.durable < version <= self.version, f"{version} is no newer version of ours")
                return replace(self, durable=version)
            case Last(version):
                _needs(version == self.version, f"{self.version} is the newest version")
                _needs(self.data.done, "not all data are merged")
                _needs(not self.own_data or self.rules.all_ended(self), "groups train on data of their own")
                return replace(self, last=True)
            case Council():
                return replace(self, council=body)
            case Opened():
                return self

    def _merged(self, merge: Merge) -> Self:
        _needs(merge.parent == self.version == merge.version - 1, f"{self.version} is the newest version")
        _needs(merge.groups == len(self.groups), f"{len(self.groups)} groups are on the books")
        _needs(merge.settings == self.settings.number, f"settings {self.settings.number} are in force")
        _needs(merge.contributions, "there is nothing to merge")
        books = self
        for contribution in merge.contributions:
            books = books._named(contribution, merge.version)
        return replace(books, version=merge.version, digest=merge.digest)._leased(*merge.leases)

    def _named(self, contribution: Contribution, version: int) -> Self:
        history, rules = contribution.key.history, self.rules
        _needs(rules.on_the_books(self, history), self.why_not(history))
        _needs(rules.is_next(self, contribution), f"update {contribution.key.seq} is not its next one")
        base, since = contribution.base, self.group(history).since
        _needs(since <= base < version, f"{base} is not a version from {since} to {version - 1}")
        data = rules.leases(self, contribution)
        return replace(self, data=data)._with(
            OnBooks(history, version, contribution.key.seq, contribution.key.seq)
        )

    def _returned(self, back: Return) -> Self:
        group, trained = self.group(back.history), back.why is not Why.UNUSED
        data = self.data.give_back(back.history, back.blocks, trained)
        _needs(
            back.seq == (group.settled + 1 if trained else 0),
            f"update {group.settled} is its last that is settled",
        )
        return replace(self, data=data)._with(replace(group, settled=group.settled + trained))

    def _with(self, group: OnBooks) -> Self:
        rest = (other for other in self.groups if other.history != group.history)
        return replace(self, groups=tuple(sorted((*rest, group))))

    def _leased(self, *leases: Lease) -> Self:
        data = self.data
        for lease in leases:
            _needs(self.rules.on_the_books(self, lease.history), self.why_not(lease.history))
            data = data.lease(lease.history, lease.blocks)
        return replace(self, data=data)

    def _regrouped(self, group: Group) -> Self:
        match group.change:
            case Change.FORMED:
                return self._formed(group.history)
            case Change.SPLIT:
                self.group(_needs(group.other, "a split is off another group"))
                return self._formed(group.history)
            case Change.FOLDED:
                self.group(_needs(group.other, "a fold is into another group"))
                _needs(not self.data.of(group.history), "it has data that are not merged")
            case Change.ENDED:
                _needs(self.own_data, "its data are not its own")
                ended = tuple(sorted({*self.ended, group.history.group}))
                return replace(self._without(group.history), ended=ended)
        return self._without(group.history)

    def _formed(self, history: History) -> Self:
        _needs(not self.rules.of_another(self, history), f"the books are of lineage {self.lineage}")
        _needs(history.group not in self.ended, self.why_not(history))
        before = next((g.history for g in self.groups if g.history.group == history.group), None)
        _needs(before is None or before < history, f"{before} is on the books")
        books = self._without(before) if before else self
        return books._with(OnBooks(history, self.version))

    def _without(self, history: History) -> Self:
        """What is leased to it may have been trained on, and is merged no more."""
        gone = self.group(history)
        data = self.data.give_back(history, self.data.of(history), trained=True)
        return replace(self, data=data, groups=tuple(group for group in self.groups if group != gone))


def _needs(condition: T | None, else_why: str) -> T:
    if not condition:
        raise NotAdmissible(else_why)
    return condition
