"""Writes checkpoints beside training, and says what became of them."""

import threading
from collections.abc import Callable

from edgetrain.engine.checkpoint import Checkpoints
from edgetrain.engine.state import Snapshot, encode
from edgetrain.local import Checkpointed, Message, Warned


class Saver:
    """One write at a time, on a thread of its own."""

    def __init__(self, checkpoints: Checkpoints, send: Callable[[Message], None]) -> None:
        self._checkpoints, self._send = checkpoints, send
        self._writing: threading.Thread | None = None

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
            data, name = encode(snapshot), snapshot.identity
            saved = self._checkpoints.save(position.lineage, position.committed, data, name)
        except OSError as error:
            what = f"checkpoint of step {position.committed} could not be written: {error}"
            mend = "see to room and rights on spec.storage.checkpoint"
            self._send(Warned("CheckpointNotSaved", f"{what}; {mend}"))
            return
        self._send(Checkpointed(saved.lineage, saved.step, saved.identity, str(saved.path)))

    def wait(self) -> None:
        """Until what is being written is on disk."""
        if self._writing:
            self._writing.join()
