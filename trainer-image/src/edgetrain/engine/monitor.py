"""The engine's one lock: what several threads of a trainer share is read and changed with it held.

Nothing slow is done while it is held: no message is sent (see speaker.py), no model copied, nothing written
to disk. Whoever holds it wakes all who wait by `notify_all`, after a change that may let somebody go on.
"""

import functools
import threading
import time
from collections.abc import Callable
from threading import get_ident
from types import TracebackType
from typing import Any, Self, TypeVar, cast

R = TypeVar("R")


NOT_HELD = "the engine's monitor is not held here"


class NotHeld(RuntimeError):
    """A mistake of ours: what the monitor guards was touched without it."""


class Monitor:
    """A re-entrant lock with a condition, which knows who holds it."""

    def __init__(self) -> None:
        self._condition = threading.Condition()
        self.holder: int | None = None
        """The thread that has it."""
        self._depth = 0

    def __enter__(self) -> Self:
        self._condition.acquire()
        self.holder = get_ident()
        self._depth += 1
        return self

    def __exit__(
        self, kind: type[BaseException] | None, error: BaseException | None, trace: TracebackType | None
    ) -> None:
        self._depth -= 1
        if not self._depth:
            self.holder = None
        self._condition.release()

    def check(self) -> None:
        """Raises NotHeld."""
        if self.holder != get_ident():
            raise NotHeld(NOT_HELD)

    def notify_all(self) -> None:
        """Something has changed. With the monitor held."""
        self._condition.notify_all()

    def wait(self, seconds: float | None = None) -> None:
        """Let others have the monitor until something has changed, or the time is over."""
        self.check()
        depth, self._depth, self.holder = self._depth, 0, None
        try:
            self._condition.wait(seconds)
        finally:
            self._depth, self.holder = depth, get_ident()

    def wait_for(self, done: Callable[[], R], seconds: float | None = None) -> R:
        """As `wait`, until `done`, which is asked with the monitor held; returns what it said last."""
        end = None if seconds is None else time.monotonic() + seconds
        while not (said := done()):
            left = None if end is None else end - time.monotonic()
            if left is not None and left <= 0:
                break
            self.wait(left)
        return said


F = TypeVar("F", bound=Callable[..., Any])


def held(method: F) -> F:
    """A method for whoever holds the monitor (`_monitor`) of its object: others are refused."""

    @functools.wraps(method)
    def checked(self: Any, *args: Any, **kwargs: Any) -> Any:
        # As Monitor.check, without a further call: thirty of these belong to a step.
        if self._monitor.holder != get_ident():
            raise NotHeld(NOT_HELD)
        return method(self, *args, **kwargs)

    return cast(F, checked)
