"""Snapshots for newcomers: one at a time is made, and shared by all who ask before another step is committed.

What is held is bounded: the last one until its newcomers have it, or for KEPT_SECONDS after the last of their
connections broke; one before it only as long as it is being sent.
"""

import contextlib
import secrets
import threading
import time
from collections.abc import Callable, Iterator
from concurrent.futures import Future
from dataclasses import dataclass, field, replace

from torch import Tensor

from edgetrain.engine.state.snapshot import Snapshot
from edgetrain.engine.transfer.skeleton import take_apart
from edgetrain.link import Position

KEPT_SECONDS = 60.0
"""For a newcomer whose connection broke: by then it has come again, or has taken another donor."""


@dataclass(eq=False)
class Captured:
    """A snapshot as it is sent."""

    position: Position
    skeleton: bytes
    tensors: list[Tensor]
    name: str = field(default_factory=lambda: secrets.token_hex(8))
    """By which a newcomer asks for the rest of it."""
    borrowers: int = 0
    kept_until: float = 0.0
    """By the monotonic clock."""


class Captures:
    """For any thread."""

    def __init__(self, capture: Callable[[], Snapshot], position: Callable[[], Position]) -> None:
        """`capture` waits for a loop boundary."""
        self._capture, self._position = capture, position
        self._lock = threading.Lock()
        self._last: Future[Captured] | None = None

    def ask(self) -> "Future[Captured]":
        """One of the state as it is now, or will be at the next boundary."""
        with self._lock:
            if self._last is None or not self._is_fresh(self._last):
                self._last = Future()
                threading.Thread(target=self._make, args=(self._last,), name="snapshot", daemon=True).start()
            return self._last

    def find(self, name: str) -> Captured:
        """Raises LookupError: it is no longer held."""
        with self._lock:
            held = _made(self._last)
        if held is None or held.name != name:
            raise LookupError(f"snapshot {name} is no longer held")
        return held

    @contextlib.contextmanager
    def lend(self, captured: Captured) -> Iterator[None]:
        """While a newcomer takes it. It is kept for a while where this is left by an error."""
        with self._lock:
            captured.borrowers += 1
        try:
            yield
        except BaseException:
            captured.kept_until = time.monotonic() + KEPT_SECONDS
            self._look_again(captured)
            raise
        finally:
            with self._lock:
                captured.borrowers -= 1
            self._let_go(captured.name)

    def _is_fresh(self, last: "Future[Captured]") -> bool:
        if not last.done():
            return True
        made = _made(last)
        return made is not None and made.position == replace(self._position(), prepared=None)

    def _make(self, promised: "Future[Captured]") -> None:
        try:
            snapshot = self._capture()
            made = Captured(replace(snapshot.position, prepared=None), *take_apart(snapshot))
        except BaseException as error:
            promised.set_exception(error)
            return
        promised.set_result(made)
        self._look_again(made)

    def _look_again(self, captured: Captured) -> None:
        """Perhaps nobody comes for it."""
        timer = threading.Timer(KEPT_SECONDS, self._let_go, (captured.name,))
        timer.daemon = True
        timer.start()

    def _let_go(self, name: str) -> None:
        """Unless somebody has it, or may come again for it."""
        with self._lock:
            held = _made(self._last)
            if held and held.name == name and not held.borrowers and time.monotonic() >= held.kept_until:
                self._last = None


def _made(last: "Future[Captured] | None") -> Captured | None:
    return last.result() if last and last.done() and not last.exception() else None
