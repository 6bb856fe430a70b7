"""Which states become checkpoints, and when."""

from collections.abc import Callable

from edgetrain.engine.checkpoint import Checkpoints
from edgetrain.engine.flat import Flat
from edgetrain.engine.member import Member
from edgetrain.engine.saver import Saver
from edgetrain.engine.settings import Settings
from edgetrain.engine.state import Snapshot
from edgetrain.local import Checkpointed, HeldCheckpoints, Message, Resume


class Keeping:
    """One member's part in it. Methods are the program's thread's, at a boundary."""

    def __init__(
        self,
        settings: Settings,
        member: Member,
        flat: Flat,
        capture: Callable[[], Snapshot],
        send: Callable[[Message], None],
    ) -> None:
        self._worker, self._member, self._flat, self._capture = settings.worker, member, flat, capture
        self._checkpoints = Checkpoints(settings.checkpoint_dir, settings.worker, settings.job)
        self._checkpoints.clear()
        self._saver = Saver(self._checkpoints, send)
        self._send = send

    def at_boundary(self) -> None:
        """As the last vote asked; at the first boundary from then on whose state is finite."""
        member = self._member
        if member.save_due and not self._saves():
            member.save_due = False
            self._saver.excuse()
        if member.save_due and self._finite():
            member.save_due = False
            self._saver.save(self._capture())

    def at_the_end(self) -> None:
        """What the program does after its loop may fail: then it goes on from here, not from long before."""
        self._now(self._saves())

    def at_stop(self) -> None:
        """By every member: nobody knows which of the nodes will be there to go on."""
        self._now(self._member.in_sync)

    def _now(self, wanted: bool) -> None:
        self._saver.wait()
        with self._member.changed:
            new = wanted and self._member.position != self._saver.saved
            snapshot = self._capture() if new and self._finite() else None
        if snapshot:
            self._saver.save_now(snapshot)

    def wait(self) -> None:
        """Until what is being written is on disk."""
        self._saver.wait()

    def find(self, resume: Resume) -> Snapshot | None:
        """That very checkpoint. What is damaged is told, and what is not here to whoever counted on it."""
        snapshot, damages = self._checkpoints.find(resume.lineage, resume.step, resume.digest)
        for damage in damages:
            self._saver.warn(damage.reason, str(damage))
        if snapshot is None:
            self.tell_held(but=(resume.lineage, resume.step, resume.digest))
        return snapshot

    def tell_held(self, but: tuple[int, int, str] | None = None) -> None:
        """Say which checkpoints are here, but for one that was found to be of no use."""
        held = [m for m in self._checkpoints.held() if (*m.place, m.identity) != but]
        told = [Checkpointed(m.lineage, m.step, m.identity, str(m.path)) for m in held]
        self._send(HeldCheckpoints(told))

    def _saves(self) -> bool:
        """Whether this member is one of those that write checkpoints: two, so that one may be lost."""
        seat = self._member.formations.seat
        if not seat:
            return False
        workers = [peer.worker for peer in seat.form.members]
        hub = workers.index(seat.form.aggregator)
        return self._worker in (workers[hub], workers[(hub + 1) % len(workers)])

    def _finite(self) -> bool:
        """Whether the state is worth keeping: by its loss, which is the same on all members, and by its
        parameters; a gradient that is not finite may be one that a scaler passes over."""
        if self._member.ledger.not_finite_since is not None:
            return False
        finite = self._flat.finite()
        if not finite:
            self._saver.refuse(self._member.position.committed)
        return finite
