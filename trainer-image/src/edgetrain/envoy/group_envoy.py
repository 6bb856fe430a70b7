"""A group's envoy: two threads beside the program's, one that reads the log, one that carries vectors.

What it knows is forgotten with it: who follows reads the log again, and pushes again what is in flight.
"""

import logging
import threading
from collections.abc import Callable
from dataclasses import dataclass
from typing import NamedTuple

from edgetrain.aggregator import paths
from edgetrain.aggregator.client import HolderAway, HolderClient, HolderRefuses, NoModel
from edgetrain.aggregator.model import Founding
from edgetrain.aggregator.vectors import digest_of
from edgetrain.envoy.versions import Fetch, Versions
from edgetrain.payload.codec import Bytes, Floats
from edgetrain.rounds.book_rules import Settlement
from edgetrain.rounds.books import Books
from edgetrain.rounds.data_record import DataRecord
from edgetrain.rounds.entries import Contribution, Merge
from edgetrain.rounds.envoy import EnvoyRules
from edgetrain.rounds.group_work import GroupWork
from edgetrain.rounds.leasing import Want
from edgetrain.rounds.proposing import Proposing
from edgetrain.rounds.reading import Reading
from edgetrain_protocol.history import History

log = logging.getLogger(__name__)

RETRY_SECONDS = 0.2
"""Between two attempts to reach a holder."""


class Proposal(NamedTuple):
    work: GroupWork
    """Where the group is then."""
    version: Floats | None
    """The model, where it is to be applied."""


@dataclass
class _Flying:
    update: Contribution
    data: Bytes
    term: int = 0
    """In which a lead had it whole; 0: in none."""


class GroupEnvoy:
    """Its methods are for the program's thread."""

    def __init__(
        self,
        dial: Callable[[], HolderClient],
        history: History,
        founding: Founding,
        initial: Floats,
        want: Want,
        told: Callable[[], None] = lambda: None,
    ) -> None:
        """
        Args:
            dial: a new client for the holders, as often as it is called.
            initial: version 0, where this group turns out to be the first.
            told: called by threads of the envoy's own, whenever it may decide otherwise than before.
        """
        self._dial, self._history, self._founding, self._want = dial, history, founding, want
        self._initial: Floats | None = initial
        self._rules, self._told = EnvoyRules(), told
        self._news = threading.Condition()
        self._reading = Reading(Books(DataRecord.fresh(founding.samples, founding.epochs)))
        self._term = self._asked = self._said_end = 0
        """Of the log's lead; in which it was asked for data; and in which it was told that the group ends. It
        forgets that with its term."""
        self._ends = False
        """The group has no data of its own left, and all its work is in versions."""
        self._versions = Versions()
        self._flying: _Flying | None = None
        self._closing = False
        self._troubles: dict[str, str] = {}
        self._threads = [
            threading.Thread(target=self._attended, args=(work, name), name=f"envoy-{name}", daemon=True)
            for name, work in (("reads", self._read_once), ("carries", self._carry_once))
        ]
        for thread in self._threads:
            thread.start()

    def stop(self) -> None:
        """Soon nothing of the group is said any more."""
        with self._news:
            self._closing = True
            self._news.notify_all()

    def close(self) -> None:
        """From now on nothing of the group is said."""
        self.stop()
        for thread in self._threads:
            thread.join()

    # --- the program's thread

    @property
    def trouble(self) -> str:
        """Why the holder does not do what it is asked to, or is not reached; empty while it does."""
        return next(iter(self._troubles.copy().values()), "")

    @property
    def books(self) -> Books:
        """As far as the log was read."""
        return self._reading.books

    @property
    def ended(self) -> bool:
        """The group has trained on all data of its own, and waits for the others."""
        return self._history.group in self.books.ended

    def proposal(
        self, before: GroupWork | None, local_steps: int, *, spent: bool = False, seconds: float = 0.0
    ) -> Proposal | None:
        """What the group is to do at this boundary, beside steps; None for nothing, for so many seconds.

        Args:
            before: where it is; None, or of another history, where it is yet to begin in this one.
            local_steps: after so many its work goes on its way, if the last is settled by then.
            spent: it has trained on all data of its own.
        """
        with self._news:
            if not self._ends and self._proposing.ends(before, spent):
                self._ends = True
                self._news.notify_all()
            self._news.wait_for(lambda: self._closing or self._proposed(before, local_steps, spent), seconds)
            return self._proposed(before, local_steps, spent)

    def carry(self, work: GroupWork, update: Callable[[], Bytes], attempt: int = 0) -> None:
        """From now on what is in flight by `work`, and nothing else, is on its way, as often as it takes,
        until the log says what has become of it.

        Args:
            update: gives its bytes, which are not changed meanwhile.
            attempt: rises with each envoy of the group.
        """
        flying = work.ledger.in_flight
        with self._news:
            if flying is None or (self._flying and self._flying.update.key == flying.key):
                self._flying = self._flying if flying else None
                return
        data = update()
        done = work.flying_steps, attempt, work.flying_samples, flying.payload
        sent = Contribution(flying.key, digest_of(data), flying.base, flying.blocks, *done)
        with self._news:
            self._flying = _Flying(sent, data)
            self._news.notify_all()

    # --- with the condition held

    @property
    def _proposing(self) -> Proposing:
        return Proposing(self._history, self._reading, self._versions.version, self._rules)

    def _proposed(self, before: GroupWork | None, local_steps: int, spent: bool) -> Proposal | None:
        found = self._proposing.proposal(before, local_steps, spent)
        return Proposal(found.work, self._versions.vector if found.applies else None) if found else None

    # --- its own threads

    def _attended(self, work: Callable[[HolderClient], None], name: str) -> None:
        """Again and again, whatever happens to the holder."""
        with self._dial() as client:
            while not self._closing:
                try:
                    work(client)
                except (HolderAway, HolderRefuses) as error:
                    self._complain(name, str(error))
                    with self._news:
                        self._news.wait_for(lambda: self._closing, RETRY_SECONDS)
                else:
                    if self._troubles.pop(name, None):
                        self._told()

    def _complain(self, name: str, why: str) -> None:
        if name not in self._troubles:
            # Once: the next holder that is asked has another reason.
            log.warning("rounds: %s", why)
        if self._troubles.get(name) != why:
            self._troubles[name] = why
            self._told()

    def _read_once(self, client: HolderClient) -> None:
        try:
            self._hear(client.log(self._reading.known, self._history))
        except NoModel:
            assert self._initial is not None
            client.found(self._founding, self._initial)
            return
        if self._wants_something():
            client.join(self._history, self._want)
            self._asked = self._term

    def _hear(self, answer: paths.LogAnswer) -> None:
        with self._news:
            before = self._reading
            self._reading = before.on_page(answer.page)
            self._term = answer.term
            news = answer.page.bodies[max(0, before.known - answer.page.after) :]
            for body in news if self._reading.known > before.known else ():
                if isinstance(body, Merge):
                    self._versions = self._versions.read(body)
            self._news.notify_all()
        if news:
            self._told()

    def _wants_something(self) -> bool:
        """To be on the books; or data, of which each version brings more to who has asked this lead."""
        books = self.books
        if books.last or self._history.group in books.ended:
            return False
        idle = not books.has(self._history) or (not books.own_data and not books.data.count(self._history))
        return idle or self._asked != self._term

    def _carry_once(self, client: HolderClient) -> None:
        with self._news:
            self._news.wait_for(self._has_errand, 1.0)
            flying, wanted, term = self._flying if self._has_to_push() else None, self._wanted(), self._term
            ends = self._has_to_end()
        if self._closing:
            return
        if ends:
            client.end(self._history)
            self._said_end = term
        elif flying is not None:
            client.push(flying.update, flying.data)
            flying.term = term
        elif wanted is not None:
            self._fetch(client, wanted)

    def _has_errand(self) -> bool:
        return self._closing or self._has_to_end() or self._has_to_push() or self._wanted() is not None

    def _has_to_end(self) -> bool:
        return self._ends and self._said_end != self._term and self.books.has(self._history)

    def _has_to_push(self) -> bool:
        """Not what is settled: a lead refuses it, and the version that settles it would never be fetched."""
        flying, books = self._flying, self.books
        if flying is None or not books.has(self._history) or flying.term == self._term:
            return False
        return books.settlement(flying.update.key) is Settlement.OPEN

    def _wanted(self) -> Fetch | None:
        return self._versions.wanted(self.books) if self._term else None

    def _fetch(self, client: HolderClient, wanted: Fetch) -> None:
        if (merge := wanted.merge) is None:
            model = client.model()
            made = self._versions.whole(model.version, model.vector)
        else:
            packing = self._founding.layout.packing(merge.payload)
            added = packing.unpacked(client.fetch(merge.digest, packing.bytes))
            made = self._versions.added(merge, added)
        assert made.vector is not None
        with self._news:
            # More entries may have been read meanwhile; versions are made by this thread alone.
            self._versions = self._versions.whole(made.version, made.vector)
            self._initial = None
            self._news.notify_all()
        self._told()
