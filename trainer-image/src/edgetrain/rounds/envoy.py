"""A group's part in rounds: its ledger, which all members hold alike, and its envoy, who speaks for it.

The ledger moves with the group's turns alone. What the envoy knows beside it can be lost with it: a successor
reads the log again, encodes again what is in flight, and pushes it under the same key.
"""

from dataclasses import dataclass, replace
from enum import Enum
from typing import Self

from edgetrain.data import Block
from edgetrain.rounds.blocks import first, joined, without
from edgetrain.rounds.book_rules import Settlement
from edgetrain.rounds.books import Books
from edgetrain.rounds.entries import UpdateKey
from edgetrain.rounds.turn import Apply, Deed, Step, Turn
from edgetrain_protocol.history import History
from edgetrain_protocol.strategy import RoundPayload


@dataclass(frozen=True)
class InFlight:
    """An update between its push and the version that is applied with it. The group keeps the parameters at
    the push."""

    key: UpdateKey
    base: int
    blocks: tuple[Block, ...]
    payload: RoundPayload = RoundPayload.FP32
    """All members pack it alike."""


@dataclass(frozen=True)
class Ledger:
    history: History
    base: int
    """The version that the group's work is measured from: the last one applied."""
    seq: int = 0
    """Of its last push."""
    in_flight: InFlight | None = None
    """At most one: a second would be measured from a base that does not contain the first."""
    blocks: tuple[Block, ...] = ()
    """Trained on since the push, or since the base."""
    known: int = 0
    """Entries of the log by which the last turn was decided. A successor that has read fewer would find data
    leased to the group that are merged by now, and train on them again."""

    @property
    def untold(self) -> tuple[Block, ...]:
        """All that it has trained on and no version is known to contain."""
        return (*(self.in_flight.blocks if self.in_flight else ()), *self.blocks)

    def after(self, turn: Turn) -> Self:
        """Once a turn is committed. A version that is applied settles what was in flight, where something
        was."""
        known = replace(self, known=turn.known)
        match turn.deed:
            case Step(blocks):
                return known.stepped(blocks)
            case Apply(version):
                return known.applied(version)

    def stepped(self, blocks: tuple[Block, ...]) -> Self:
        """A step on these is committed."""
        return replace(self, blocks=joined((*self.blocks, *blocks)))

    def applied(self, version: int) -> Self:
        """It settles what was in flight, where something was."""
        return replace(self, base=version, in_flight=None)

    def pushed(self, payload: RoundPayload = RoundPayload.FP32) -> Self:
        """At this boundary: what was done since goes on its way."""
        assert self.in_flight is None
        going = InFlight(UpdateKey(self.history, self.seq + 1), self.base, self.blocks, payload)
        return replace(self, seq=self.seq + 1, in_flight=going, blocks=())


class Stage(Enum):
    """For people: how far the present exchange is."""

    IDLE = "idle"
    """No data are leased to it."""
    TRAINING = "training"
    ENCODED = "encoded"
    PUSHED = "pushed"
    NAMED = "named"
    """A committed entry has merged its update; the version is to be fetched."""
    RETURNED = "returned"
    """A committed entry says that its update is never merged; the newest version is to be fetched."""
    HAVE = "have"
    """The version is whole at the envoy: the group applies it at its next boundary."""
    ENDED = "ended"
    """Another generation is on the books, or none: nothing of this one is merged any more."""


class EnvoyRules:
    """The rules, one method each, so that a test can break one and see that the exploration notices."""

    def settled(self, ledger: Ledger, books: Books, acknowledged: bool) -> bool:
        """Whether what is in flight is merged, or will never be.

        That a lead has it whole is nothing: leads come and go, and what they have staged with them.
        """
        flying = ledger.in_flight
        return flying is not None and books.settlement(flying.key) is not Settlement.OPEN

    def is_version(self, books: Books, version: int, digest: str) -> bool:
        """Whether what was fetched is the newest version. Uncommitted, it may have been another of this
        number."""
        return (version, digest) == (books.version, books.digest)

    def has_read_enough(self, ledger: Ledger, known: int) -> bool:
        """Whether an envoy that has read so many entries may say what is next."""
        return known >= ledger.known

    def begins(self, history: History, books: Books, before: Ledger | None) -> Ledger | None:
        """The ledger that members begin a group with, whatever they held `before` in another: nothing, from
        the newest version when it came on the books. None until then."""
        return Ledger(history, books.group(history).since) if books.has(history) else None


@dataclass(frozen=True)
class Envoy:
    """What it knows; all of it is forgotten with it."""

    fetched: frozenset[tuple[int, str]] = frozenset()
    """(version, digest) that are whole in its side buffer, committed or not."""
    acknowledged: UpdateKey | None = None
    """The update that a lead has said to have whole."""

    def has(self, version: int, digest: str) -> Self:
        """It has fetched it, and the bytes have this digest."""
        return replace(self, fetched=self.fetched | {(version, digest)})

    def told(self, key: UpdateKey) -> Self:
        """A lead has the update whole, for now."""
        return replace(self, acknowledged=key)

    def next_deed(
        self, ledger: Ledger, books: Books, known: int, rules: EnvoyRules, batch: int
    ) -> Deed | None:
        """What its group is to do at this boundary, by the committed log as far as the envoy has read it,
        which is `known` entries: a step on `batch` positions at most, or a version. None: it waits, or is
        over."""
        if not books.has(ledger.history) or not rules.has_read_enough(ledger, known):
            return None
        if self.applies(ledger, books, rules):
            version, digest = self.newest(books, rules)
            return Apply(version, digest)
        blocks = first(self.untrained(ledger, books), batch)
        return Step(blocks) if blocks else None

    def applies(self, ledger: Ledger, books: Books, rules: EnvoyRules) -> bool:
        """Whether a version is to be applied now: not one that leaves open what is in flight, since then the
        steps before and after the push could not be told apart; and after a refusal the newest, though it is
        no newer."""
        if ledger.in_flight is None:
            return self.newest(books, rules)[0] > ledger.base
        settled = rules.settled(ledger, books, self.acknowledged == ledger.in_flight.key)
        at_hand = self.newest(books, rules)[0]
        return settled and (at_hand > ledger.base or at_hand == books.version == ledger.base)

    def newest(self, books: Books, rules: EnvoyRules) -> tuple[int, str]:
        """The newest version that is whole here, and is one; (-1, "") without any."""
        return max((v for v in self.fetched if rules.is_version(books, *v)), default=(-1, ""))

    def untrained(self, ledger: Ledger, books: Books) -> tuple[Block, ...]:
        """What is leased to the group and it has not trained on."""
        return without(books.data.of(ledger.history), ledger.untold)

    def stage(self, ledger: Ledger, books: Books, rules: EnvoyRules) -> Stage:
        if not books.has(ledger.history):
            return Stage.ENDED
        if self.applies(ledger, books, rules):
            return Stage.HAVE
        flying = ledger.in_flight
        if flying is None:
            return Stage.TRAINING if books.data.of(ledger.history) else Stage.IDLE
        settlement = books.settlement(flying.key)
        if settlement is not Settlement.OPEN:
            return Stage.NAMED if settlement is Settlement.MERGED else Stage.RETURNED
        return Stage.PUSHED if self.acknowledged == flying.key else Stage.ENCODED
