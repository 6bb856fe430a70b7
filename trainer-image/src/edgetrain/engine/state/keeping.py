"""Which states become checkpoints, and when."""

from collections.abc import Callable

from edgetrain.engine.settings import Settings
from edgetrain.engine.state.checkpoint import Checkpoints
from edgetrain.engine.state.flat_model import FlatModel
from edgetrain.engine.state.manifest import Manifest
from edgetrain.engine.state.remote_copies import RemoteCopies
from edgetrain.engine.state.saver import Saver
from edgetrain.engine.state.snapshot import Snapshot
from edgetrain.engine.stepping import StepEngine
from edgetrain.link import Checkpointed, HeldCheckpoints, Message, Resume
from edgetrain_protocol.history import History


class Keeping:
    """One member's part in it. Methods are the program's thread's, at a boundary."""

    def __init__(
        self,
        settings: Settings,
        member: StepEngine,
        flat: FlatModel,
        capture: Callable[[], Snapshot],
        send: Callable[[Message], None],
    ) -> None:
        self._worker, self._member, self._flat, self._capture = settings.worker, member, flat, capture
        self._checkpoints = Checkpoints(
            settings.checkpoint_dir, settings.worker, settings.job, restore=self._restore
        )
        self._checkpoints.clear()
        self._saver = Saver(self._checkpoints, send, self._saved)
        self._send = send
        self._aggregates = False
        """The last that is known: it pushes, and nobody else."""
        self._copies: RemoteCopies | None = None
        if place := settings.remote_checkpoints:
            self._copies = RemoteCopies(place, self._checkpoints.of_the_store, settings.address, send)
            self._copies.look(then=self.tell_held)

    def at_boundary(self) -> None:
        """As the last vote asked; at the first boundary from then on whose state is finite."""
        member = self._member
        if active := member.formations.active:
            self._aggregates = active.form.aggregator == self._worker
        if member.save_due and not self._saves():
            member.save_due = False
            self._saver.excuse()
        if member.save_due and self._finite():
            member.save_due = False
            self._saver.save(self._capture())

    def at_the_end(self) -> None:
        """What the program does after its loop may fail: then it goes on from here, not from long before."""
        self._now(self._saves() and self._member.replica.in_sync)

    def at_restart(self) -> None:
        """The program cannot get on with the state that it has, and nobody else may have it."""
        self._now(True)

    def at_stop(self) -> None:
        """By every member: nobody knows which of the nodes will be there to go on."""
        self._now(self._member.replica.in_sync)
        if self._copies:
            self._copies.flush()

    def _now(self, wanted: bool) -> None:
        self._saver.wait()
        if wanted and self._member.replica.position != self._saver.saved and self._finite():
            self._saver.save_now(self._capture())

    def wait(self) -> None:
        """Until what is being written is on disk."""
        self._saver.wait()

    def find(self, resume: Resume) -> Snapshot | None:
        """That very checkpoint. What is damaged is told, and what is not here to whoever counted on it."""
        snapshot, damages = self._checkpoints.find(resume.history, resume.step, resume.digest)
        if snapshot is None and self._copies:
            self._copies.wait_until_seen()
            snapshot, damages = self._checkpoints.find(resume.history, resume.step, resume.digest)
        for damage in damages:
            self._saver.warn(damage.reason, str(damage))
        if snapshot is None:
            self.tell_held(but=(resume.history, resume.step, resume.digest))
        return snapshot

    def tell_held(self, but: tuple[History, int, str] | None = None) -> None:
        """Say which checkpoints are here, but for one that was found to be of no use."""
        held = [m for m in self._checkpoints.held() if (*m.place, m.identity) != but]
        told = [Checkpointed(m.history, m.step, m.identity, str(m.path)) for m in held]
        self._send(HeldCheckpoints(told))

    def _saved(self, saved: Manifest) -> None:
        if self._copies and self._aggregates:
            self._copies.push(saved)

    def _restore(self, saved: Manifest) -> None:
        if self._copies:
            self._copies.restore(saved)

    def _saves(self) -> bool:
        """Whether this member is one of those that write checkpoints: two, so that one may be lost."""
        active = self._member.formations.active
        if not active:
            return False
        form = active.form
        next_to_hub = form.members[(form.hub + 1) % len(form.members)]
        return self._worker in (form.aggregator, next_to_hub.worker)

    def _finite(self) -> bool:
        """Whether the state is worth keeping: by its loss, which is the same on all members, and by its
        parameters; a gradient that is not finite may be one that a scaler passes over."""
        if self._member.replica.ledger.not_finite_since is not None:
            return False
        finite = self._flat.finite()
        if not finite:
            self._saver.refuse(self._member.replica.position.committed)
        return finite
