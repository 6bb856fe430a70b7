"""Which groups are heard: whoever asks something now, or did a moment ago."""

import contextlib
import threading
import time
from collections import Counter
from collections.abc import Callable, Iterator

from edgetrain_protocol.history import History

HEARD_SECONDS = 5.0
"""After its last request. Between two of them an envoy rests for less."""


class Hearing:
    """For any thread."""

    def __init__(self, clock: Callable[[], float] = time.monotonic) -> None:
        self._clock = clock
        self._lock = threading.Lock()
        self._open: Counter[History] = Counter()
        self._last: dict[History, float] = {}

    @contextlib.contextmanager
    def request(self, history: History) -> Iterator[None]:
        """While one of this group's is answered."""
        with self._lock:
            self._open[history] += 1
        try:
            yield
        finally:
            with self._lock:
                self._open[history] -= 1
                self._last[history] = self._clock()

    def heard(self) -> frozenset[History]:
        now = self._clock()
        with self._lock:
            self._open = +self._open
            lately = (h for h, last in self._last.items() if now - last < HEARD_SECONDS)
            return frozenset((*self._open, *lately))
