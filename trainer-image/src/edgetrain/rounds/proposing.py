"""What an envoy proposes to its group, beside steps on data. Pure.

A group is in one of few situations: it is yet to begin; a version settles what it has in flight, or is newer
than its base while nothing is; its work is due to go to the others; other data are leased to it than it knows
of; or it waits for the last version. All that holds is one proposal.
"""

from dataclasses import dataclass, replace
from typing import NamedTuple

from edgetrain.rounds.agreed import Agreed
from edgetrain.rounds.blocks import without
from edgetrain.rounds.data_record import Fate
from edgetrain.rounds.envoy import Envoy, EnvoyRules, Ledger
from edgetrain.rounds.group_work import GroupWork
from edgetrain.rounds.reading import Reading
from edgetrain_protocol.history import History
from edgetrain_protocol.strategy import RoundPayload


class Proposed(NamedTuple):
    work: GroupWork
    """Where the group is then."""
    applies: bool
    """The version at hand."""


@dataclass(frozen=True)
class Proposing:
    """What an envoy knows."""

    history: History
    """Of the group that it speaks for."""
    reading: Reading
    at_hand: int
    """The newest version that it has whole; -1: none."""
    rules: EnvoyRules

    def proposal(self, before: GroupWork | None, local_steps: int, spent: bool = False) -> Proposed | None:
        """
        Args:
            before: where the group is; None, or of another history, where it is yet to begin in this one.
            local_steps: after so many its work goes on its way, if the last is settled by then.
            spent: it has trained on all data of its own.
        """
        if before is None or before.ledger.history != self.history:
            return self._beginning()
        if not self.rules.has_read_enough(before.ledger, self.reading.known):
            return None
        if self.history.group in self.reading.books.ended and before.settled:
            return self._waiting(before)
        if not self.reading.books.has(self.history):
            # Nothing of this generation is merged any more.
            return None if before.over else Proposed(replace(before, over=True), False)
        return self._following(before, local_steps, spent)

    def ends(self, before: GroupWork | None, spent: bool) -> bool:
        """Whether a group that is there has no data of its own left, and all its work is in versions."""
        books = self.reading.books
        if before is None or not (spent and books.own_data and books.has(self.history)):
            return False
        return before.ledger.history == self.history and before.settled

    def _waiting(self, before: GroupWork) -> Proposed | None:
        """For the last version, with which all groups end."""
        books = self.reading.books
        if before.over or not books.last or self.at_hand != books.version:
            return None
        newer = before.ledger.base < books.version
        return Proposed(self._read(before.applied(books.version) if newer else before), newer)

    def _beginning(self) -> Proposed | None:
        """With a version that contains nothing which it could push once more; or with the last one, where it
        comes after that."""
        books = self.reading.books
        if books.last and not books.has(self.history) and not books.rules.of_another(books, self.history):
            return self._after_the_end()
        ledger = self.rules.begins(self.history, books, None)
        if ledger is None or not ledger.base <= self.at_hand <= books.version:
            return None
        return Proposed(self._read(GroupWork(replace(ledger, base=self.at_hand))), True)

    def _after_the_end(self) -> Proposed | None:
        version = self.reading.books.version
        if self.at_hand != version:
            return None
        return Proposed(self._read(GroupWork(Ledger(self.history, version))), True)

    def _following(self, before: GroupWork, local_steps: int, spent: bool) -> Proposed | None:
        books = self.reading.books
        envoy = Envoy(frozenset({(self.at_hand, books.digest)}))
        applies = envoy.applies(before.ledger, books, self.rules)
        after = self._read(before.applied(self.at_hand) if applies else before)
        dry = spent if books.own_data else not after.untrained
        done = bool(after.ledger.blocks) or (books.own_data and after.steps > 0)
        if done and after.ledger.in_flight is None and (dry or after.steps >= local_steps):
            # Where nothing is left to train on, nothing comes before this is merged, however little it is.
            after = after.pushed(self._payload(dry=dry))
        return Proposed(after, applies) if applies or after.differs(before) else None

    def _payload(self, *, dry: bool) -> RoundPayload:
        """The last of a group's work goes as it is: what packing leaves out of it would be in no version."""
        books = self.reading.books
        if dry and (books.own_data or not books.data.count(Fate.FREE)):
            return RoundPayload.FP32
        return Agreed.of(books.settings.text).payload

    def _read(self, work: GroupWork) -> GroupWork:
        """With what the log says by now."""
        books, data, ledger = self.reading.books, self.reading.books.data, work.ledger
        return replace(
            work,
            ledger=replace(ledger, known=self.reading.known),
            untrained=without(data.of(self.history), ledger.untold),
            proximal=Agreed.of(books.settings.text).proximal,
            over=books.last and ledger.base == books.version and ledger.in_flight is None,
            version=books.version,
            merged=data.count(Fate.MERGED),
            total=data.total,
            groups=len(books.groups),
        )
