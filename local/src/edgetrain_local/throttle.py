"""A slower processor: a program runs for a part of each tenth of a second, and is stopped for the rest.

It needs no cgroup, and so no root. Its supervisor runs on: a slow device answers, though late.
"""

import signal
import threading
import time
from collections.abc import Callable

from edgetrain_local.processes import family, tell

PERIOD_SECONDS = 0.1
"""Far below what a group takes for a hang."""
LOOK_SECONDS = 1.0
"""Between looks at who belongs to the program: a loader's processes come and go."""


class Throttle(threading.Thread):
    def __init__(self, share: float, supervisor: Callable[[], int | None]) -> None:
        """`share`: of one processor; `supervisor`: whose descendants are slowed, None while there is none."""
        super().__init__(name="throttle", daemon=True)
        self._share, self._supervisor = share, supervisor
        self._ended = threading.Event()
        self._pids: list[int] = []
        self._looked: tuple[int | None, float] = (None, 0.0)

    def run(self) -> None:
        while not self._ended.is_set():
            self._look()
            tell(self._pids, signal.SIGCONT)
            began = time.monotonic()
            self._ended.wait(PERIOD_SECONDS * self._share)
            tell(self._pids, signal.SIGSTOP)
            # By how long it ran: on a busy machine this thread comes late to stop it.
            self._ended.wait((time.monotonic() - began) * (1 - self._share) / self._share)
        tell(self._pids, signal.SIGCONT)

    def close(self) -> None:
        self._ended.set()
        self.join()

    def _look(self) -> None:
        now, pid = time.monotonic(), self._supervisor()
        if pid != self._looked[0] or now - self._looked[1] > LOOK_SECONDS:
            self._pids = family(pid)[1:] if pid else []
            self._looked = (pid, now)
