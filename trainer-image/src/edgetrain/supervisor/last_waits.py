"""What a supervisor waits for before it ends, so that those whom it leaves lose nothing. Each is bounded."""

import asyncio
import contextlib
from collections.abc import Callable

from edgetrain.group.machine import Group
from edgetrain.group.status import Stage
from edgetrain.remote.process import PUSH_SECONDS

BOUNDARY_SECONDS = 8.0
"""A plan that says stop: the group gets so long to stop at a boundary together."""
LINGER_SECONDS = 1.0
"""After all have finished, for the last words between supervisors."""
ALONE_SECONDS = 60.0
"""A member that has finished waits so long for others that are still at it."""
LOOK_SECONDS = 0.1


class LastWaits:
    """Of the loop's thread."""

    def __init__(self, group: Group, wake: asyncio.Event, pushes_model: bool) -> None:
        """`wake` is set when anything that is waited for may have come; `pushes_model`: a member may be at it
        still."""
        self._group, self._wake = group, wake
        self._alone_seconds = ALONE_SECONDS + (PUSH_SECONDS if pushes_model else 0)

    async def boundary(self, revision: int) -> None:
        """For the others to hold this plan, and for our program to stand: so that nobody loses a step or goes
        on, having heard of no end."""

        def all_stand() -> bool:
            told = all(status.revision >= revision for status in self._group.statuses.values())
            return told and self._group.status.stage is not Stage.TRAINING

        await self.until(all_stand, BOUNDARY_SECONDS)

    async def all_finished(self, or_if: Callable[[], bool]) -> None:
        """To help the others over the last step."""
        await self.until(lambda: or_if() or not self._unfinished(), self._alone_seconds)
        await asyncio.sleep(LINGER_SECONDS)

    def _unfinished(self) -> list[str]:
        """Other members of the formation that are heard and still at it."""
        word = self._group.word
        others = {m.worker for m in word.formation.members} if word else set()
        return [w for w, s in self._group.statuses.items() if w in others and not s.finished]

    async def until(self, done: Callable[[], bool], seconds: float) -> None:
        """Wait for something that changes with what is heard, or with a file."""
        loop = asyncio.get_running_loop()
        end = loop.time() + seconds
        while not done() and loop.time() < end:
            self._wake.clear()
            with contextlib.suppress(TimeoutError):
                async with asyncio.timeout(LOOK_SECONDS):
                    await self._wake.wait()
