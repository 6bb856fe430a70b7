"""When the next piece is sent, so that what is pushed beside training is not in its way."""

import time
from collections.abc import Callable
from dataclasses import dataclass, field

IDLE_PAUSE, BUSY_PAUSE = 3.0, 9.0
"""Times what a piece has taken: a quarter of the time on an idle link, a tenth on one in use."""
IN_USE = 0.25
"""Of our own rate: where others have so much, a piece takes it from them."""


@dataclass
class Pace:
    """`carried`: bytes that the link has carried, ours and others'."""

    carried: Callable[[], int]
    wait: Callable[[float], None] = time.sleep
    clock: Callable[[], float] = time.monotonic
    _best: float = field(default=0.0)
    """Bytes a second of the fastest piece: about what the link gives."""

    def after(self, sent: int, seconds: float) -> None:
        """Wait, after a piece of so many bytes that has taken so long."""
        self._best = max(self._best, sent / max(seconds, 1e-6))
        others = self._others_during(IDLE_PAUSE * seconds)
        if others > IN_USE * self._best:
            self.wait((BUSY_PAUSE - IDLE_PAUSE) * seconds)

    def _others_during(self, pause: float) -> float:
        before, began = self.carried(), self.clock()
        self.wait(pause)
        return (self.carried() - before) / max(self.clock() - began, 1e-6)
