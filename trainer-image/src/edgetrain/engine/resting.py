"""The state of a member while its program waits at its loop's boundary: whole, and copied for others."""

from collections.abc import Sequence

from edgetrain.engine.monitor import Monitor, held
from edgetrain.engine.replica import ReplicaState
from edgetrain.engine.state.snapshot import Snapshot, Stateful, capture, restore


class Resting:
    """Methods are the program's thread's unless they say otherwise."""

    def __init__(
        self,
        monitor: Monitor,
        replica: ReplicaState,
        layout: list[str],
        objects: Sequence[Stateful],
        worker: str,
    ) -> None:
        self._monitor, self._replica = monitor, replica
        self._layout, self._objects, self._worker = layout, objects, worker
        self._parked = False
        """The program waits at the boundary: its state may be captured by another thread."""
        self._wanted = 0
        """Captures, by other threads."""
        self._under_way = 0
        self._before: Snapshot | None = None
        """What the state was before a step that was given up: to be it again."""

    # --- at the boundary

    @held
    def park(self) -> None:
        self._parked = True
        self._monitor.notify_all()

    @held
    def leave(self) -> None:
        """Nobody captures any more: the state is about to move."""
        self._parked = False

    @held
    def wait_for_captures(self) -> None:
        """Those that are wanted, of a state that others may have."""
        self._monitor.wait_for(lambda: not self._wanted or not self._replica.in_sync)

    @held
    def wait_undisturbed(self) -> None:
        """Until nobody copies."""
        self._monitor.wait_for(lambda: not self._under_way)

    # --- copies

    def capture(self, *, own: bool = True) -> Snapshot:
        """Of a state at rest; `own`: for a checkpoint of this worker."""
        with self._monitor:
            position, ledger = self._replica.position, self._replica.ledger.at_rest()
            carried = self._replica.carried.to_document(self._worker) if own else {}
        return capture(position, ledger, self._layout, self._objects, carried)

    def capture_for_donor(self) -> Snapshot:
        """By a thread of the state server."""
        with self._monitor:
            self._wanted += 1
            # Also what a generation begins with: others wait for it to form a group with us.
            self._monitor.wait_for(lambda: self._parked and (self._replica.in_sync or self._replica.begun))
            self._under_way += 1
        try:
            return self.capture(own=False)
        finally:
            with self._monitor:
                self._wanted -= 1
                self._under_way -= 1
                self._monitor.notify_all()

    # --- a step that was given up

    def remember(self) -> None:
        """The program goes on to its loop's boundary, and moves the state on its way."""
        self._before = self.capture()

    def take_back(self) -> None:
        """What was remembered. Before the program parks: others may take its state from then on."""
        before, self._before = self._before, None
        if before:
            restore(before, self._objects)
