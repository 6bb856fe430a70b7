"""The loop's boundary, where state is whole: captured, replaced, saved, and where steps begin.

Owns the member of the job and what serves it: the reader of orders, the state server, the checkpoints.
"""

import contextlib
import threading
import time
from collections.abc import Callable, Sequence

from edgetrain.engine.donor import Donor
from edgetrain.engine.errors import ModelMismatch
from edgetrain.engine.flat import Flat, first_difference, hash_of
from edgetrain.engine.keeping import Keeping
from edgetrain.engine.ledger import Ledger
from edgetrain.engine.member import Member
from edgetrain.engine.meter import Meter
from edgetrain.engine.settings import Settings
from edgetrain.engine.state import Snapshot, Stateful, capture, restore
from edgetrain.engine.turn import Step, Superseded, Turn
from edgetrain.local import (
    Fetch,
    Finished,
    Form,
    Halt,
    Hold,
    Link,
    LinkClosed,
    Message,
    Ping,
    Pong,
    Position,
    Ready,
    Reform,
    Start,
    Started,
    Stop,
    StoreSet,
    TryLinks,
)

RESTART = 75
"""Exit status that asks the supervisor for a fresh start of the program (EX_TEMPFAIL)."""
LOOK_SECONDS = 0.5


class Loop:
    """Methods are the program's thread's unless they say otherwise."""

    def __init__(
        self,
        link: Link,
        settings: Settings,
        flat: Flat,
        ledger: Ledger,
        layout: list[str],
        objects: Sequence[Stateful],
    ) -> None:
        self._link, self._layout, self._objects = link, layout, objects
        self._fresh = ledger
        self.meter = Meter(link.offer)
        self.member = Member(
            flat, ledger, layout, send=self.send, meter=self.meter, credentials=settings.credentials
        )
        self._changed, self._orders = self.member.changed, self.member.orders
        self._parked = False
        """The program waits at the boundary: its state may be captured by another thread."""
        self._captures_wanted = 0
        self._finishing = False
        self._begun = False
        """It holds the state from which a lineage begins, in sync with nobody yet."""
        self._keeping = Keeping(settings, self.member, flat, self._capture, self.send)
        self._donor = Donor(
            settings.state_port,
            settings.credentials,
            self.member.log,
            self._capture_for_donor,
            lambda: self.member.position,
        )
        threading.Thread(target=self._read_orders, name="link", daemon=True).start()
        self._keeping.tell_held()
        self.send(Ready(hash_of(layout), layout, self.member.position))

    def send(self, message: Message) -> None:
        """By any thread. That nobody is there any more is found by the thread that reads."""
        with contextlib.suppress(LinkClosed):
            self._link.send(message)

    def next_turn(self) -> Turn | None:
        """Wait at the boundary for the next turn; None when all epochs are trained.

        Raises:
            SystemExit: the supervisor asked to stop, or is gone.
            ModelMismatch, BadState: this program does not fit the job.
        """
        self._arrive()
        turn = self._wait(lambda: self.member.over)
        if turn is None:
            self._keeping.at_the_end()
        return turn

    def reduce_step(self, turn: Turn, loss: float, computed: int) -> None:
        """Make the gradients of `turn` the group's committed mean, or empty where this member has none.

        Raises:
            SystemExit, ModelMismatch: as next_turn.
        """
        with contextlib.suppress(Superseded):
            self.member.reduce_step(turn, loss, computed)

    @property
    def last(self) -> Step | None:
        return self.member.last

    def hold_on(self, seconds: float) -> bool:
        """Stay for so long with the trained state, and help the others over the last step; true: try again.

        Raises:
            SystemExit: the supervisor asked to stop, or is gone, or the state is to go back in time.
        """
        orders, due = self._orders, time.monotonic() + seconds
        self._finishing = True
        self._arrive()
        self._wait(lambda: orders.stop or orders.closed or time.monotonic() >= due, look=LOOK_SECONDS)
        if orders.stop or orders.closed:
            raise SystemExit(0 if orders.stop else 1)
        return True

    def finish(self, model_path: str, digest: str) -> None:
        """Tell where the model is, and stay to help the others over the last step until told to stop."""
        self._keeping.wait()
        self._finishing = True
        self.send(Finished(model_path, digest))
        self._arrive()
        self._wait(lambda: self._orders.stop or self._orders.closed)

    # --- at the boundary

    def _arrive(self) -> None:
        self.meter.enter("wait")
        with self._changed:
            self._park()
            self._changed.wait_for(lambda: not self._captures_wanted or not self.member.in_sync)
            self._keeping.at_boundary()

    def _wait(self, done: Callable[[], bool], look: float | None = None) -> Turn | None:
        """`look`: seconds after which `done` may have changed without a word."""
        while True:
            with self._changed:
                self._park()
                if not (todo := self._ordered()):
                    if done():
                        return self._go(None)
                    if turn := self.member.next_turn():
                        return self._go(turn)
                    todo = self._due()
                if not todo:
                    self._changed.wait(look)
                    continue
            todo()

    def _park(self) -> None:
        self._parked = True
        self._changed.notify_all()

    def _go(self, turn: Turn | None) -> Turn | None:
        self._parked = False
        return turn

    def _ordered(self) -> Callable[[], None] | None:
        """What the supervisor wants done before anything else."""
        catch_up = self.member.catch_up
        if self._finishing:
            # The program's loop is over: it can take part in a last step, but not go back in time.
            if self._orders.start or catch_up.needs_snapshot:
                raise SystemExit(RESTART)
            return None
        if self._orders.closed:
            raise SystemExit(1)
        if self._orders.stop:
            return self._stop
        if start := self._orders.start:
            self._orders.start = None
            return lambda: self._start(start)
        if snapshot := catch_up.take_snapshot():
            return lambda: self._load(snapshot)
        return None

    def _due(self) -> Callable[[], None] | None:
        if self.member.drifted:
            return self.member.settle_drift
        if seat := self.member.seat_to_enter():
            return lambda: self.member.enter(seat)
        return None

    def _stop(self) -> None:
        self._keeping.at_stop()
        raise SystemExit(0)

    def _start(self, start: Start) -> None:
        if self.member.position.committed and not start.resume:
            # The initial state is not kept: only a new process has it.
            raise SystemExit(RESTART)
        snapshot = self._keeping.find(start.resume) if start.resume else None
        with self._changed:
            # What a donor has sent so far goes on from another state than this.
            self.member.catch_up.stop()
            self.member.take_over(Position(start.lineage), self._fresh, in_sync=False)
        if snapshot:
            self._restore(snapshot)
            position = Position(start.lineage, None, snapshot.position.committed)
            with self._changed:
                # Not in sync: the same point of the history, but perhaps not the same bits.
                self.member.take_over(position, snapshot.ledger.at_rest(), in_sync=False)
        with self._changed:
            self._begun = True
            self._changed.notify_all()
        self.send(Started(self.member.position))

    def _load(self, snapshot: Snapshot) -> None:
        self._restore(snapshot)
        with self._changed:
            self.member.take_over(snapshot.position, snapshot.ledger.at_rest(), in_sync=True)

    def _restore(self, snapshot: Snapshot) -> None:
        if snapshot.layout != self._layout:
            raise ModelMismatch(first_difference(self._layout, snapshot.layout))
        with self._changed:
            self._parked = self._begun = self.member.in_sync = False
        restore(snapshot, self._objects)

    # --- capturing

    def _capture(self) -> Snapshot:
        member = self.member
        return capture(member.position, member.ledger.at_rest(), self._layout, self._objects)

    def _capture_for_donor(self) -> Snapshot:
        """By a thread of the state server."""
        with self._changed:
            self._captures_wanted += 1
            try:
                # Also what a lineage begins with: others wait for it to form a group with us.
                self._changed.wait_for(lambda: self._parked and (self.member.in_sync or self._begun))
                return self._capture()
            finally:
                self._captures_wanted -= 1
                self._changed.notify_all()

    # --- the link's thread

    def _read_orders(self) -> None:
        for message in self._link.receive():
            self._obey(message)
        with self._changed:
            self._orders.closed = True
            self.member.formations.leave()

    def _obey(self, message: Message) -> None:
        formations = self.member.formations
        match message:
            case Ping():
                self.send(Pong())
            case Form():
                formations.form(message)
            case Halt():
                formations.halt(message)
            case StoreSet():
                formations.store_set(message)
            case TryLinks():
                formations.try_links(message)
            case _:
                with self._changed:
                    self._note(message)
                    self._changed.notify_all()

    def _note(self, message: Message) -> None:
        match message:
            case Start(keep=True) if self.member.in_sync:
                # At once, also in the middle of a step: nothing of the state changes.
                self.member.keep_on(message.lineage)
                self.send(Started(self.member.position))
            case Start():
                self._begun = False
                self._orders.start = message
            case Fetch():
                self._begun = False
                self.member.formations.leave()
                self.member.catch_up.follow(message.donor, self.member.usable)
            case Reform():
                self._orders.reform = True
            case Hold():
                self._orders.hold_revision = message.revision
            case Stop():
                self._orders.stop = True
