"""What a group's machine wants done, done in its order: what follows a vote waits until that is on disk.

The machine goes on meanwhile, and what it wants then comes behind. So whatever leaves this pod speaks of
nothing that a restart could have forgotten, as if all that the machine has heard since had not come yet.
"""

from collections import deque
from collections.abc import Callable

from edgetrain.group.record import Record
from edgetrain.supervisor.disk import BadDisk
from edgetrain.supervisor.disk_writer import Done

Deed = Callable[[], None]


class Outbox:
    """Of the loop's thread."""

    def __init__(self, save: Callable[[Record], Done]) -> None:
        """`save` writes a record beside the loop."""
        self._save = save
        self._waiting: deque[Record | Deed] = deque()
        self._busy = False
        self.unfit: BadDisk | None = None
        """Why nothing is done any more: what was not kept was not promised."""

    @property
    def waits(self) -> bool:
        """For something to be on disk."""
        return self._busy

    def put(self, what: Record | Deed) -> None:
        """Behind all that is here already."""
        self._waiting.append(what)
        self._go_on()

    def _go_on(self) -> None:
        while self._waiting and not self._busy and not self.unfit:
            what, self._busy = self._waiting.popleft(), True
            if isinstance(what, Record):
                self._save(what).add_done_callback(self._saved)
            else:
                self._do(what)

    def _do(self, deed: Deed) -> None:
        try:
            deed()
        except BadDisk as error:
            self.unfit = error
        finally:
            self._busy = False

    def _saved(self, written: Done) -> None:
        self._busy = False
        if error := written.exception():
            self.unfit = error if isinstance(error, BadDisk) else BadDisk(f"votes cannot be kept: {error}")
        self._go_on()
