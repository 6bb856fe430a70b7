"""What a group's machine wants done, done in its order: what follows a vote waits until that is on disk.

The machine goes on meanwhile, and what it wants then comes behind. So whatever leaves this pod speaks of
nothing that a restart could have forgotten, as if all that the machine has heard since had not come yet.
"""

from collections import deque
from collections.abc import Callable

from edgetrain.supervisor.disk import BadDisk
from edgetrain.supervisor.disk_writer import Done

Deed = Callable[[], Done | None]
"""What is done; of one that writes to the disk, when it is done."""


class Outbox:
    """Of the loop's thread."""

    def __init__(self) -> None:
        self._waiting: deque[Deed] = deque()
        self._busy = False
        self.unfit: BadDisk | None = None
        """Why nothing is done any more: what was not kept was not promised."""

    @property
    def waits(self) -> bool:
        """For something to be on disk."""
        return self._busy

    def put(self, deed: Deed) -> None:
        """Behind all that is here already."""
        self._waiting.append(deed)
        self._go_on()

    def _go_on(self) -> None:
        while self._waiting and not self._busy and not self.unfit:
            self._do(self._waiting.popleft())

    def _do(self, deed: Deed) -> None:
        """What it asks for itself comes behind all that waits."""
        self._busy, written = True, None
        try:
            written = deed()
        except BadDisk as error:
            self.unfit = error
        finally:
            self._busy = written is not None
        if written:
            written.add_done_callback(self._saved)

    def _saved(self, written: Done) -> None:
        self._busy = False
        if error := written.exception():
            self.unfit = error if isinstance(error, BadDisk) else BadDisk(f"votes cannot be kept: {error}")
        self._go_on()
