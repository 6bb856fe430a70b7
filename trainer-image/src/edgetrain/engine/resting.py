"""The state of a member while its program waits at its loop's boundary: whole, and copied for others."""

from collections.abc import Sequence
from dataclasses import replace

from edgetrain.engine.errors import ModelMismatch
from edgetrain.engine.monitor import Monitor, held
from edgetrain.engine.place import Places
from edgetrain.engine.replica import ReplicaState
from edgetrain.engine.state.flat_model import first_difference
from edgetrain.engine.state.snapshot import Snapshot, Stateful, capture, restore


class Resting:
    """Methods are the program's thread's unless they say otherwise."""

    def __init__(
        self,
        monitor: Monitor,
        replica: ReplicaState,
        layout: list[str],
        objects: Sequence[Stateful],
        places: Places,
        worker: str,
    ) -> None:
        self._monitor, self._replica, self._places = monitor, replica, places
        self._layout, self._objects, self._worker = layout, objects, worker
        self._parked = False
        """The program waits at the boundary: its state may be captured by another thread."""
        self._wanted = 0
        """Captures, by other threads."""
        self._under_way = 0
        self._held: Snapshot | None = None
        """The state that is to be put into the program's objects at the boundary where it belongs."""
        self.remembers = False
        """It is this member's own, of a step that was given up: perhaps nobody else has it."""

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
        if held := self._held:
            return replace(held, position=position, ledger=ledger, carried=carried)
        return capture(position, ledger, self._layout, self._objects, carried, self._places.here)

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

    # --- a state that does not belong here

    def remember(self) -> None:
        """A step was given up: the program goes on to its loop's boundary, and moves the state on its way.
        There it is to be again what it is now."""
        if not self._held:
            self.hold(self.capture())
            self.remembers = True

    def hold(self, snapshot: Snapshot) -> None:
        """The program gets this state where it belongs: here, or at another place of its loops."""
        self._held, self._places.wanted = snapshot, snapshot.place or self._places.here
        self.remembers = False

    def put_back(self) -> None:
        """What is held, if the program is where it belongs. Before it parks: others may take its state from
        then on.

        Raises:
            ModelMismatch, BadState: it does not fit this program.
        """
        if self._held and not self._places.elsewhere:
            if self._held.layout != self._layout:
                raise ModelMismatch(first_difference(self._layout, self._held.layout))
            restore(self._held, self._objects)
            self._held = self._places.wanted = None
