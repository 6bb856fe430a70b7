"""Something that is due at a time which changes often."""

import asyncio
from collections.abc import Callable


class Alarm:
    """Of the loop's thread."""

    def __init__(self, ring: Callable[[], None]) -> None:
        self._ring = ring
        self._timer: asyncio.TimerHandle | None = None

    def set(self, at: float | None) -> None:
        """By the loop's clock, instead of what was set before; None for never. Not within this call."""
        if self._timer:
            self._timer.cancel()
        loop = asyncio.get_running_loop()
        self._timer = None if at is None else loop.call_at(max(at, loop.time() + 0.001), self._ring)
