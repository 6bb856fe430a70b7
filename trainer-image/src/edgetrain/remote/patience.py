"""How often a store that fails is asked again, and after which pauses."""

import random
import time
from collections.abc import Callable, Sequence
from dataclasses import dataclass
from typing import TypeVar

from edgetrain.remote.errors import RemoteError, Unreachable

Answer = TypeVar("Answer")

PAUSES = (0.5, 1.0, 2.0, 4.0, 8.0, 15.0, 30.0)
"""Seconds; the last one again and again: an edge node may be cut off for days."""
HICCUPS = 2
"""Failures in a row of which nobody is told."""


@dataclass
class Patience:
    """Of one thing to do. Whatever gets on begins the pauses anew."""

    pauses: Sequence[float] = PAUSES
    wait: Callable[[float], None] = time.sleep
    endless: bool = True
    """Whether it never gives up; else after the last pause."""
    tell: Callable[[RemoteError], None] = lambda error: None
    _failures: int = 0

    def got_on(self) -> None:
        self._failures = 0

    def ask(self, ask: Callable[[], Answer]) -> Answer:
        """The answer, however often it has to be asked for.

        Raises:
            RemoteError: another than Unreachable; or that, where there is an end.
        """
        while True:
            try:
                answer = ask()
            except Unreachable as error:
                self.pause(error)
            else:
                self.got_on()
                return answer

    def pause(self, error: RemoteError) -> None:
        """Wait before the next try.

        Raises:
            RemoteError: this one, since there is none.
        """
        if self._failures >= len(self.pauses) and not self.endless:
            raise error
        if self._failures >= HICCUPS:
            self.tell(error)
        # A fleet that was cut off comes back at once.
        pause = self.pauses[min(self._failures, len(self.pauses) - 1)]
        self._failures += 1
        self.wait(pause * random.uniform(0.75, 1.25))
