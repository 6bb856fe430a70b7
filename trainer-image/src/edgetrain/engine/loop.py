"""The loop's boundary, where state is whole: captured, replaced, saved, and where steps begin.

Owns the member of the job and what serves it: the thread that reads the supervisor's orders, the
state server, the writer of checkpoints.
"""

import contextlib
import threading
from collections.abc import Callable, Sequence

from edgetrain.engine.checkpoint import Checkpoints
from edgetrain.engine.donor import Donor
from edgetrain.engine.errors import ModelMismatch
from edgetrain.engine.flat import Flat, first_difference, hash_of
from edgetrain.engine.ledger import Ledger
from edgetrain.engine.member import Member
from edgetrain.engine.meter import Meter
from edgetrain.engine.saver import Saver
from edgetrain.engine.settings import Settings
from edgetrain.engine.state import Snapshot, Stateful, capture, restore
from edgetrain.engine.turn import Step, Superseded, Turn
from edgetrain.local import (
    Checkpointed,
    Fetch,
    Finished,
    Form,
    Halt,
    HeldCheckpoints,
    Hold,
    Link,
    LinkClosed,
    Message,
    Ping,
    Pong,
    Position,
    Ready,
    Reform,
    Resume,
    Serve,
    Start,
    Started,
    Stop,
    StoreSet,
    Warned,
)

RESTART = 75
"""Exit status that asks the supervisor for a fresh start of the program (EX_TEMPFAIL)."""


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
        self._worker = settings.worker
        self._fresh = ledger
        self.meter = Meter(link.offer)
        self.member = Member(flat, ledger, layout, send=self.send, meter=self.meter)
        self._changed, self._orders = self.member.changed, self.member.orders
        self._parked = False
        """The program waits at the boundary: its state may be captured by another thread."""
        self._captures_wanted = 0
        self._finishing = False
        self._begun = False
        """It holds the state from which a lineage begins, in sync with nobody yet."""
        self._checkpoints = Checkpoints(settings.checkpoint_dir, settings.worker)
        self._saver = Saver(self._checkpoints, self.send)
        self._donor = Donor(settings.state_port, self.member.log, self._capture_for_donor, self._position)
        threading.Thread(target=self._read_orders, name="link", daemon=True).start()
        self._tell_checkpoints(without=())
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
        return self._wait(lambda: self.member.over)

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

    def finish(self, model_path: str, digest: str) -> None:
        """Tell where the model is, and stay to help the others over the last step until told to stop."""
        self._saver.wait()
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
            if self.member.save_due:
                self.member.save_due = False
                if self._saves():
                    self._saver.save(self._capture())

    def _wait(self, done: Callable[[], bool]) -> Turn | None:
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
                    self._changed.wait()
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
        self._saver.wait()
        with self._changed:
            # Every member: nobody knows which of the nodes will be there to go on.
            snapshot = self._capture() if self.member.in_sync else None
        if snapshot:
            self._saver.save_now(snapshot)
        raise SystemExit(0)

    def _start(self, start: Start) -> None:
        if self.member.position.committed and not start.resume:
            # The initial state is not kept: only a new process has it.
            raise SystemExit(RESTART)
        snapshot = self._find(start.resume) if start.resume else None
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

    def _find(self, resume: Resume) -> Snapshot | None:
        snapshot, damages = self._checkpoints.find(resume.lineage, resume.step, resume.digest)
        for damage in damages:
            self.send(Warned(damage.reason, str(damage)))
        if snapshot is None:
            # Whoever counted on us for it must hear that we have it no more.
            self._tell_checkpoints(without=(resume.lineage, resume.step, resume.digest))
        return snapshot

    def _tell_checkpoints(self, without: tuple[int, int, str] | tuple[()]) -> None:
        held = [m for m in self._checkpoints.held() if (m.lineage, m.step, m.identity) != without]
        told = [Checkpointed(m.lineage, m.step, m.identity, str(m.path)) for m in held]
        self.send(HeldCheckpoints(told))

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
                self._changed.wait_for(self._may_capture)
                return self._capture()
            finally:
                self._captures_wanted -= 1
                self._changed.notify_all()

    def _may_capture(self) -> bool:
        """State is whole at the boundary: that of a committed step, or that from which a lineage begins. Who
        began from a checkpoint is in no formation yet, and others wait for its state to form one."""
        return self._parked and (self.member.in_sync or self._begun)

    def _position(self) -> Position:
        return self.member.position

    def _saves(self) -> bool:
        """Whether this member is one of those that write checkpoints: two, so that one may be lost."""
        seat = self.member.formations.seat
        if not seat:
            return False
        workers = [peer.worker for peer in seat.form.members]
        hub = workers.index(seat.form.aggregator)
        return self._worker in (workers[hub], workers[(hub + 1) % len(workers)])

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
            case Serve():
                self._orders.token = message.token
                self._donor.set_token(message.token)
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
                have = self.member.usable
                self.member.catch_up.follow(message.donor_address, message.state_port, message.token, have)
            case Reform():
                self._orders.reform = True
            case Hold():
                self._orders.hold_revision = message.revision
            case Stop():
                self._orders.stop = True
