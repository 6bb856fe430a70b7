"""Where this worker keeps the log of rounds, should it be named to hold it: beside its checkpoints.

What is there outlives the pod where checkpoints do. So the disk has an identity of its own, by which a later
pod of this worker goes on as the same holder.
"""

import logging
import secrets
import threading
import time
from collections.abc import Callable
from pathlib import Path

from edgetrain.directory_lock import locked
from edgetrain.durable_files import sync_directory, write_durably

log = logging.getLogger(__name__)

LOCK_SECONDS = 5.0
"""For another pod of this worker, which may be naming it just now."""
AGAIN_SECONDS = 5.0


class LogDisk:
    def __init__(self, checkpoints: Path, job: str, worker: str) -> None:
        """`checkpoints`: what spec.storage.checkpoint is mounted at, or the pod's own directory there."""
        self._own = checkpoints / job / worker
        self._identity_file = self._own / "disk"

    def directory(self, holder: str) -> Path:
        """Of this holder, whom no other disk can be."""
        return self._own / "rounds" / holder

    def identify(self, known: Callable[[str], object]) -> None:
        """Have `known` called with its identity, by a thread: a disk may hang, or be mended after hours."""
        threading.Thread(target=self._identify, args=(known,), name="log-disk", daemon=True).start()

    def identity(self) -> str:
        """It stays as long as what is written there does.

        Raises:
            OSError: the disk is full, not writable, or somebody else's.
        """
        if not self._identity_file.exists():
            self._own.mkdir(parents=True, exist_ok=True)
            with locked(self._own, LOCK_SECONDS):
                if not self._identity_file.exists():
                    write_durably(self._identity_file, secrets.token_hex(8).encode())
                    sync_directory(self._own.parent)
        return self._identity_file.read_text()

    def _identify(self, known: Callable[[str], object]) -> None:
        while True:
            try:
                known(self.identity())
                return
            except OSError as error:
                log.debug("no log of rounds can be kept here: %s", error)
                time.sleep(AGAIN_SECONDS)
