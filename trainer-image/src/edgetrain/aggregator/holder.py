"""A holder of the log of merges: a thread that decides and writes, and what others may ask meanwhile.

Updates that are staged are in memory alone, and forgotten with the term: groups push again.
"""

import logging
import threading
import time
from collections.abc import Callable
from pathlib import Path

from edgetrain.aggregator.charge import Charge
from edgetrain.aggregator.desk import SHARDS, Desk
from edgetrain.aggregator.hearing import Hearing
from edgetrain.aggregator.in_turn import InTurn
from edgetrain.aggregator.journal import BadJournal
from edgetrain.aggregator.merger import Merger
from edgetrain.aggregator.model import Founding, Layout, Model
from edgetrain.aggregator.rivals import Rivals
from edgetrain.aggregator.seat import Lacking, Seat, Shown
from edgetrain.aggregator.staging import Incoming, NotFinite, NotTaken, Staging
from edgetrain.aggregator.vectors import BadVector
from edgetrain.payload.codec import Bytes, Floats
from edgetrain.rounds.council import Leading, Tell
from edgetrain.rounds.council_messages import Message, Refusal, Store, Stored, Vote
from edgetrain.rounds.entries import UpdateKey
from edgetrain.rounds.lead import Lead
from edgetrain.rounds.leasing import Want
from edgetrain.rounds.next_entry import Combine, Propose
from edgetrain.rounds.policies import LOOK_SECONDS, Wait
from edgetrain.rounds.reading import Page, page
from edgetrain_protocol.history import History

log = logging.getLogger(__name__)


class NotLeading(RuntimeError):
    """Another holder leads, or none does: who asks asks another."""


class Holder:
    """Its methods are for any thread but its own."""

    def __init__(
        self,
        directory: Path,
        name: str,
        charge: Charge,
        clock: Callable[[], float] = time.monotonic,
    ) -> None:
        """
        Args:
            directory: where the log and the model are kept; it continues from what is there.
            name: of this disk, in this lineage: nobody else ever has it.

        Raises:
            BadJournal, BadVector: what is there is damaged.
            OSError: there is no directory.
        """
        self.name, self._charge, self._clock = name, charge, clock
        self._seat = Seat(directory, name)
        self._desk: Desk | None = None
        """While it leads."""
        self._rivals = Rivals(clock())
        self.staging, self.hearing = Staging(), Hearing(clock)
        self._turns = InTurn("holder", self._write_what_is_due, clock)
        self._merger = Merger(self.staging, self._seat.vectors, self._turns.wake)
        self._news = threading.Condition()
        self._shown, self._serves, self._calls = self._seat.shown, False, dict[str, Message]()
        self.trouble = ""
        """What keeps it from writing; empty while nothing does."""
        self._closed = False
        self._turns.start()

    def close(self) -> None:
        """What it has shown is on its disk, as after a kill."""
        with self._news:
            self._closed = True
            self._news.notify_all()
        self._turns.close()
        self._seat.close()

    def wait(self) -> None:
        """Until its thread has ended: by `close`, or by a defect."""
        self._turns.wait()

    # --- what groups ask; each raises NotLeading

    @property
    def shown(self) -> Shown | None:
        """None before a group has founded the model."""
        return self._shown

    @property
    def serves(self) -> bool:
        """Whether groups are right here: it leads, or is to begin the log."""
        return self._serves

    def needs_lead(self) -> None:
        """Raises NotLeading."""
        if not self._serves:
            raise NotLeading(f"{self.name} does not lead")

    def page(self, known: int, seconds: float) -> tuple[Page, int] | None:
        """What is committed behind the first `known` entries, as soon as there is something, and the term;
        nothing new after so many seconds. None before the model is founded."""
        with self._news:
            self._news.wait_for(lambda: self._has_news(known), seconds)
            shown = self._shown
        self.needs_lead()
        return (page(shown.log, known), shown.term) if shown else None

    def found(self, founding: Founding, vector: Floats) -> None:
        """Begin with this model, unless another group was first.

        Raises:
            OtherLayout: another group was first, and its program makes another model.
            OSError, BadJournal: there is no room for it.
        """
        self.needs_lead()
        self._turns.do(lambda: self._seat.found(founding, vector))

    def join(self, history: History, want: Want | None) -> None:
        """A group wants to take part, to have data, or (None) to end. It reads in the log when it does."""
        self._turns.do(lambda: self._leading().join(history, want))

    def refusal(self, key: UpdateKey) -> str:
        """Why a push is not taken; empty if it is."""
        self.needs_lead()
        shown = self._shown
        return Lead(SHARDS).refuses(key, shown.books) if shown else "the job has no model yet"

    def arrived(self, incoming: Incoming) -> None:
        """An update has come to its end.

        Raises:
            NotTaken: it is not what it was said to be.
        """
        try:
            incoming.check()
        except NotTaken as error:
            self.staging.drop(incoming)
            if isinstance(error, NotFinite):
                self._turns.do(lambda: self._leading().refuse(incoming.update))
            raise
        if self.staging.accept(incoming):
            self._turns.do(lambda: self._leading().arrive(incoming.update))

    @property
    def layout(self) -> Layout:
        """Of the model. Raises NotLeading: there is none."""
        if (model := self._seat.model) is None:
            raise NotLeading(f"{self.name} has no model")
        return model.founding.layout

    def vector_path(self, digest: str) -> Path | None:
        """The file of a merged update; None where it is not here any more."""
        return self._seat.vectors.path(digest)

    # --- what the plan says

    def follow(self, charge: Charge) -> None:
        """From now on."""
        self._charge = charge
        self._turns.wake()

    # --- what other holders say

    def message_for(self, holder: str, seconds: float) -> Message | None:
        """What is to be said to it, as soon as there is something; None after so many seconds."""
        with self._news:
            self._news.wait_for(lambda: self._closed or self._owes(holder), seconds)
            if (call := self._calls.pop(holder, None)) is not None:
                return call
        return next((tell.message for tell in self._turns.do(lambda: self._seat.tell(holder))), None)

    def miss(self, holder: str) -> None:
        """Nobody listens where it did."""

        def missed() -> None:
            self._rivals = self._rivals.lost(holder)

        self._turns.do(missed)

    def _owes(self, holder: str) -> bool:
        part, log = self._seat.member.part, self._seat.member.log
        return holder in self._calls or (isinstance(part, Leading) and part.up_to(holder) < log.last.index)

    def lacks(self, told: Store | Refusal) -> Lacking:
        """What has to be on our disk before these entries are."""
        return self._turns.do(lambda: self._seat.lacks(told))

    def take_whole(self, model: Model) -> None:
        """A version that another holder has."""
        self._turns.do(lambda: self._seat.take_whole(model))

    def take_vector(self, digest: str, vector: Bytes) -> None:
        """What a version adds, packed. Raises OSError: there is no room for it."""
        self._seat.vectors.keep(vector, digest)

    def hear(self, holder: str, message: Message | None = None) -> tuple[Message, ...]:
        """It has said this, or that it is there. Returns what it is answered."""
        return self._turns.do(lambda: self._on_word(holder, message))

    # --- its own thread

    def _write_what_is_due(self) -> float:
        """Returns when to look again, if nothing happens before."""
        try:
            until, trouble = self._go_on(), ""
        except (BadJournal, BadVector, OSError) as error:
            until, trouble = self._clock() + LOOK_SECONDS, str(error)
        if trouble and trouble != self.trouble:
            log.error("nothing is merged meanwhile: %s", trouble)
        self.trouble = trouble
        self._show()
        return min(until, self._clock() + LOOK_SECONDS)

    def _go_on(self) -> float:
        member, now = self._seat.member, self._clock()
        if not member.leads:
            self._desk = None
            until = self._call_in_turn(now)
            if not self._seat.member.leads:
                return until
        if self._desk is None:
            log.info("%s leads in term %d", self.name, self._seat.member.log.promised)
            self._desk = Desk(self._seat, self._clock)
        self._rivals = self._rivals.led(now)
        self._desk.hear(self.hearing.heard(), self._charge)
        return self._lead(self._desk)

    def _call_in_turn(self, now: float) -> float:
        """Take the office, where nobody has it."""
        council = self._seat.member.council
        if self.name not in council:
            return now + LOOK_SECONDS
        line = [holder for holder in self._charge.line if holder in council] or [self.name]
        due = now if len(council) == 1 else self._rivals.call_at(self.name, line, council, now)
        if due is None or now < due:
            return due or now + LOOK_SECONDS
        told = self._seat.call(self._charge.line.keys() - council)
        self._rivals = self._rivals.led(now)
        with self._news:
            self._calls = {tell.to: tell.message for tell in told}
            self._news.notify_all()
        return now + LOOK_SECONDS

    def _lead(self, desk: Desk) -> float:
        term = self._seat.member.log.promised
        while not self._merger.busy:
            if (made := self._merger.made(term)) is not None:
                desk.write_merge(made)
                self._merger.written()
            if (change := self._seat.next_council(self._charge.line)) is not None:
                desk.write(change)
            match desk.next():
                case Propose(body):
                    desk.write(body)
                case Combine(keys):
                    self._merger.begin(term, keys, desk.whole(keys), desk.how)
                case Wait(until):
                    return until
                case None:
                    break
        return self._clock() + LOOK_SECONDS

    def _leading(self) -> Desk:
        if self._desk is None or not self._seat.member.leads:
            raise NotLeading(f"{self.name} does not lead")
        return self._desk

    def _on_word(self, holder: str, message: Message | None) -> tuple[Message, ...]:
        now = self._clock()
        self._rivals = self._rivals.hear(holder, now)
        told: tuple[Tell, ...] = () if message is None else self._seat.on_message(message)
        if any(isinstance(tell.message, Stored | Vote) for tell in told):
            self._rivals = self._rivals.led(now)
        return tuple(tell.message for tell in told if tell.to == holder)

    def _has_news(self, known: int) -> bool:
        return not self._serves or (self._shown is not None and self._shown.log.committed > known)

    def _show(self) -> None:
        """What has changed."""
        shown, before, member = self._seat.shown, self._shown, self._seat.member
        lost = self._rivals.loses(self.name, member.council, self._clock())
        serves = member.leads and not lost if member.council else self._charge.founder == self.name
        with self._news:
            self._shown, self._serves = shown, serves
            self._news.notify_all()
        if shown is None or before is None:
            return
        if shown.term != before.term:
            self.staging.settle(())
        elif shown.log is not before.log and self._desk is not None:
            self.staging.settle(self._desk.open_keys())
