"""Files of volumes that are updated under us: the pod's token, the authorities."""

import contextlib
import logging
from pathlib import Path

log = logging.getLogger(__name__)


class MountedFile:
    """Read anew each time. Where it cannot be, what was last read holds: a node that restarts its agent may
    take the volume away under a running container (docs/kubeedge.md), which ends neither token nor training.
    """

    def __init__(self, path: Path) -> None:
        self.path = path
        self._last: str | None = None
        with contextlib.suppress(OSError):
            self.read()

    def read(self) -> str:
        """What it holds, without white space at its ends.

        Raises:
            OSError: it cannot be read, and never could.
        """
        try:
            self._last = self.path.read_text().strip()
        except OSError as error:
            if self._last is None:
                raise
            log.debug("what %s last held is used: %s", self.path, error)
        return self._last
