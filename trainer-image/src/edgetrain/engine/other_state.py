"""How a member takes another state than its own: a generation's first, or one that was fetched."""

from collections.abc import Callable

from edgetrain.engine.monitor import Monitor
from edgetrain.engine.replica import ReplicaState
from edgetrain.engine.resting import Resting
from edgetrain.engine.settings import Settings
from edgetrain.engine.state.carried import Carried
from edgetrain.engine.state.keeping import Keeping
from edgetrain.engine.state.snapshot import Snapshot
from edgetrain.engine.transfer.catch_up import CatchUp
from edgetrain.link import RESTART_STATUS, Loaded, Message, Position, Start, Started


class OtherState:
    """For the program's thread, at a boundary."""

    def __init__(
        self,
        settings: Settings,
        monitor: Monitor,
        replica: ReplicaState,
        catch_up: CatchUp,
        resting: Resting,
        keeping: Keeping,
        send: Callable[[Message], None],
        *,
        size: int,
    ) -> None:
        """`size`: of the reduced vector."""
        self._worker, self._size, self._fresh = settings.worker, size, replica.ledger
        self._monitor, self._replica, self._catch_up = monitor, replica, catch_up
        self._resting, self._keeping, self._send = resting, keeping, send

    def begin(self, start: Start) -> None:
        """A generation, with a checkpoint or from the program's initial state.

        Raises:
            SystemExit: the initial state is wanted, which only a new process has.
            ModelMismatch, BadState: the checkpoint does not fit this program.
        """
        if self._replica.position.committed and not start.resume:
            raise SystemExit(RESTART_STATUS)
        snapshot: Snapshot | None = self._keeping.find(start.resume) if start.resume else None
        with self._monitor:
            # What a donor has sent so far goes on from another state than this.
            self._catch_up.stop()
            self._replica.take_over(Position(start.history), self._fresh, in_sync=False)
        if snapshot:
            self._take(snapshot)
            position = Position(start.history, None, snapshot.position.committed)
            carried = Carried.from_document(snapshot.carried, self._worker, self._size)
            with self._monitor:
                # Not in sync: the same point of the history, but perhaps not the same bits.
                self._replica.take_over(position, snapshot.ledger.at_rest(), carried, in_sync=False)
        with self._monitor:
            self._replica.begun = True
            self._monitor.notify_all()
        self._send(Started(self._replica.position))

    def go_on_from(self, snapshot: Snapshot) -> None:
        """Another member's.

        Raises:
            ModelMismatch, BadState: it does not fit this program.
        """
        self._take(snapshot)
        with self._monitor:
            self._replica.take_over(snapshot.position, snapshot.ledger.at_rest(), in_sync=True)
        # Its donor may be gone before it is caught up with, and then this is what is left.
        self._send(Loaded(snapshot.position))

    def _take(self, snapshot: Snapshot) -> None:
        with self._monitor:
            self._replica.begun = self._replica.in_sync = False
        self._resting.hold(snapshot)
        self._resting.put_back()
