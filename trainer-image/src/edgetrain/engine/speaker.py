"""What the engine says to the supervisor, in the order in which it was said, by a thread of its own.

Whoever says something never waits: neither for a supervisor that is slow to read nor, with the monitor held,
for a socket. How training gets on is said now and then alone, as it is then: a step may take a millisecond.
"""

import contextlib
import queue
import threading
import time
from collections.abc import Callable

from edgetrain.link import Link, LinkClosed, Message, Progress

PAUSE_SECONDS = 0.2
"""Between two words on how training gets on."""
FLUSH_SECONDS = 2.0
"""For a supervisor to take the last words, before the process ends without."""


class Speaker:
    """Any thread may call."""

    def __init__(self, link: Link, progress: Callable[[], Progress]) -> None:
        """`progress` says how training gets on; it is asked by the speaker's thread."""
        self._link, self._progress = link, progress
        self._queue: queue.SimpleQueue[Message | threading.Event | None] = queue.SimpleQueue()
        """What is to be said, an event to set when it has been, or None: how training gets on has changed."""
        self._changed = False
        self._due: float | None = None
        self._told_at = float("-inf")
        threading.Thread(target=self._speak, name="speaker", daemon=True).start()

    def say(self, message: Message) -> None:
        """Hand `message` over soon. A link that was closed is noticed by the thread that reads from it."""
        self._queue.put(message)

    def progress_changed(self) -> None:
        """How training gets on is to be told, within PAUSE_SECONDS."""
        if not self._changed:
            self._changed = True
            self._queue.put(None)

    def flush(self, seconds: float = FLUSH_SECONDS) -> None:
        """Wait until all that was said before has been handed over, so long at most."""
        done = threading.Event()
        self._queue.put(done)
        done.wait(seconds)

    # The speaker's thread.

    def _speak(self) -> None:
        while True:
            patience = None if self._due is None else max(0.0, self._due - time.monotonic())
            try:
                self._take(self._queue.get(timeout=patience))
            except queue.Empty:
                self._tell()

    def _take(self, what: Message | threading.Event | None) -> None:
        if what is None:
            self._due = self._told_at + PAUSE_SECONDS
            return
        if self._changed:
            # What was so before something was said is told before it.
            self._tell()
        match what:
            case threading.Event():
                what.set()
            case _:
                with contextlib.suppress(LinkClosed):
                    self._link.send(what)

    def _tell(self) -> None:
        self._due, self._changed = None, False
        self._told_at = time.monotonic()
        self._link.offer(self._progress())
