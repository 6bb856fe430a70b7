"""What the lead of the rounds has before it: groups that ask, updates that have come, and what to write next.

Of one thread. All of it is forgotten with the term.
"""

from collections.abc import Callable
from dataclasses import replace

from msgspec import structs

from edgetrain.aggregator.charge import Charge
from edgetrain.aggregator.merger import How, Made
from edgetrain.aggregator.seat import Seat
from edgetrain.rounds.agreed import Agreed
from edgetrain.rounds.books import Books
from edgetrain.rounds.entries import Body, Contribution, UpdateKey
from edgetrain.rounds.lead import Lead
from edgetrain.rounds.leasing import Want, leases
from edgetrain.rounds.next_entry import Floor, Next, next_entry
from edgetrain.rounds.patience import Habit
from edgetrain_protocol.history import History

SHARDS = 1


class Desk:
    def __init__(self, seat: Seat, clock: Callable[[], float]) -> None:
        """`seat` leads, and has a model."""
        self._seat, self._clock = seat, clock
        self._lead, self._floor = Lead(SHARDS), Floor(clock(), frozenset())

    # --- what it is told

    def join(self, history: History, want: Want | None) -> None:
        """A group wants to take part, to have data, or, with None, to end."""
        floor = self._floor
        if want is None:
            self._floor = replace(floor, ending=floor.ending | {history})
        else:
            asking, wants = floor.asking | {history}, {**floor.wants, history: want}
            self._floor = replace(floor, asking=asking, wants=wants)

    def hear(self, heard: frozenset[History], charge: Charge) -> None:
        """Just these are heard; a group is over that the plan does not name."""
        planned = charge.groups.keys()
        known = (*(group.history for group in self._books.groups), *self._floor.asking)
        over = frozenset(history for history in known if history.group not in planned)
        floor = replace(self._floor, planned=frozenset(planned), settings=charge.agreed.text)
        self._floor = replace(floor, heard=heard, over=over)

    def arrive(self, update: Contribution) -> None:
        """All of its bytes are here."""
        before, floor, history = self._lead, self._floor, update.key.history
        self._lead = before.on_part(update, 0, self._books)
        if self._lead.whole(update.key) and not before.whole(update.key):
            habit = floor.habits.get(history, Habit()).seen(self._clock() - floor.opened)
            self._floor = replace(floor, habits={**floor.habits, history: habit})

    # --- what it writes

    def next(self) -> Next | None:
        """None while an entry is yet to be committed."""
        if not self._seat.is_committed:
            return None
        return next_entry(self._lead, self._books, self._floor, self._agreed.closes, self._clock())

    def write(self, body: Body) -> None:
        """
        Raises:
            BadJournal: the disk does not take it; all is as before.
        """
        self._seat.propose(body)
        self._lead = self._lead.settle(self._books)

    def refuse(self, update: Contribution) -> None:
        """It will never be merged: its group reads so in the log, and goes on.

        Raises:
            BadJournal: the disk does not take it; all is as before.
        """
        if not self._lead.refuses(update.key, self._books):
            self.write(self._lead.refused(update, self._books))

    def write_merge(self, made: Made) -> None:
        """The next version, with the data that groups train on meanwhile.

        Raises:
            BadJournal: the disk does not take it; all is as before.
        """
        merge = self._lead.merge(made.keys, self._books, made.digest)
        wants = {h: want for h, want in self._floor.wants.items() if h in self._floor.heard}
        leased = leases(self._books.after(merge), wants)
        self._seat.propose(
            structs.replace(merge, leases=leased, payload=made.payload), (made.digest, made.merged)
        )
        self._lead = self._lead.settle(self._books)
        self._floor = replace(self._floor, opened=self._clock())

    def whole(self, keys: tuple[UpdateKey, ...]) -> list[Contribution]:
        """The updates that are to be merged."""
        return [update for update in map(self._lead.whole, keys) if update is not None]

    def open_keys(self) -> set[UpdateKey]:
        """Of updates that may still be merged."""
        return {UpdateKey(group.history, group.settled + 1) for group in self._books.groups}

    @property
    def how(self) -> How:
        """The next version is made."""
        assert self._seat.model is not None
        layout, outer = self._seat.model.founding.layout, self._seat.model.outer
        return How(outer.under(self._agreed), layout, len(self._books.groups))

    @property
    def _agreed(self) -> Agreed:
        """What is in force, by the log: the plan may be newer."""
        return Agreed.of(self._books.settings.text)

    @property
    def _books(self) -> Books:
        assert self._seat.books is not None
        return self._seat.books
