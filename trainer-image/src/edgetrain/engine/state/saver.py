"""Writes checkpoints beside training, and says what became of them."""

import threading
from collections.abc import Callable

from edgetrain.engine.state.checkpoint import Checkpoints
from edgetrain.engine.state.manifest import Manifest
from edgetrain.engine.state.snapshot import Snapshot
from edgetrain.link import Checkpointed, Mended, Message, Position, Warned

NOT_SAVED = "CheckpointNotSaved"


class Saver:
    """One write at a time, on a thread of its own."""

    def __init__(
        self,
        checkpoints: Checkpoints,
        send: Callable[[Message], None],
        then: Callable[[Manifest], None] = lambda saved: None,
    ) -> None:
        """`then` is called with each that was written."""
        self._checkpoints, self._send, self._then = checkpoints, send, then
        self._writing: threading.Thread | None = None
        self._warned: set[str] = set()
        self.saved: Position | None = None
        """The last position that was written."""

    def save(self, snapshot: Snapshot) -> None:
        """Begin to write; passed over while the last one is still being written."""
        if self._writing and self._writing.is_alive():
            return
        self._writing = threading.Thread(target=self.save_now, args=(snapshot,), name="saver", daemon=True)
        self._writing.start()

    def save_now(self, snapshot: Snapshot) -> None:
        """Write and tell. A full disk is told too, and ends nothing: the checkpoints before it stay."""
        position = snapshot.position
        try:
            saved = self._checkpoints.save(snapshot)
        except OSError as error:
            what = f"checkpoint of step {position.committed} could not be written: {error}"
            self.warn(NOT_SAVED, f"{what}; see to room and rights on spec.storage.checkpoint")
            return
        self.saved = position
        self._send(Checkpointed(saved.history, saved.step, saved.identity, str(saved.path)))
        self.excuse()
        self._then(saved)

    def warn(self, reason: str, error: str) -> None:
        """It holds until the next good checkpoint."""
        self._warned.add(reason)
        self._send(Warned(reason, error))

    def refuse(self, step: int) -> None:
        """A state that is not finite is no checkpoint. Said once: it is tried again at each boundary."""
        if NOT_SAVED not in self._warned:
            self.wait()  # One that is just being written would excuse it.
            what = f"the parameters after step {step} are not finite"
            self.warn(NOT_SAVED, f"{what}: the last checkpoint that is finite is kept")

    def excuse(self) -> None:
        """Nothing that was warned of holds any more: a checkpoint is written, or others write them now."""
        for reason in sorted(self._warned):
            self._warned.discard(reason)
            self._send(Mended(reason))

    def wait(self) -> None:
        """Until what is being written is on disk."""
        if self._writing:
            self._writing.join()
