"""The keyed queue between hints and reconciles: each key once, one in flight, later where told so."""

import asyncio
import heapq
import itertools
import random
import time
from collections.abc import Awaitable, Callable, Hashable
from typing import Generic, TypeVar

from edgetrain_protocol.backoff import doubled

FIRST_RETRY_SECONDS = 0.5
LONGEST_RETRY_SECONDS = 60.0

K = TypeVar("K", bound=Hashable)


class KeyedQueue(Generic[K]):
    """Used from one event loop. A key that is added while it is being worked on comes again afterwards."""

    def __init__(self) -> None:
        self._due: dict[K, float] = {}
        self._heap: list[tuple[float, int, K]] = []
        self._numbers = itertools.count()
        self._in_flight: set[K] = set()
        self._failures: dict[K, int] = {}
        self._changed = asyncio.Event()

    def add(self, key: K, delay: float = 0.0) -> None:
        """Have the key worked on in `delay` seconds; of several times the earliest holds."""
        due = time.monotonic() + delay
        if key in self._due and self._due[key] <= due:
            return
        self._due[key] = due
        heapq.heappush(self._heap, (due, next(self._numbers), key))
        self._changed.set()

    def retry_delay(self, key: K) -> float:
        """For a key that failed: doubled each time, with jitter so that a thousand do not come at once."""
        count = self._failures[key] = self._failures.get(key, -1) + 1
        return doubled(FIRST_RETRY_SECONDS, count, LONGEST_RETRY_SECONDS) * random.uniform(0.8, 1.2)

    def succeeded(self, key: K) -> None:
        self._failures.pop(key, None)

    async def get(self) -> K:
        """The next key that is due and not in flight; call `done` with it afterwards."""
        while True:
            key, wait = self._next()
            if key is not None:
                return key
            self._changed.clear()
            try:
                async with asyncio.timeout(wait):
                    await self._changed.wait()
            except TimeoutError:
                continue

    def done(self, key: K) -> None:
        self._in_flight.discard(key)
        if key in self._due:
            heapq.heappush(self._heap, (self._due[key], next(self._numbers), key))
            self._changed.set()

    @property
    def depth(self) -> int:
        """Keys that are due and wait for a worker."""
        now = time.monotonic()
        return sum(due <= now for due in self._due.values())

    @property
    def oldest_seconds(self) -> float:
        """How long the oldest of them has waited."""
        now = time.monotonic()
        return max((now - due for due in self._due.values() if due <= now), default=0.0)

    def _next(self) -> tuple[K | None, float | None]:
        now = time.monotonic()
        while self._heap:
            due, _, key = self._heap[0]
            if self._due.get(key) != due or key in self._in_flight:
                heapq.heappop(self._heap)  # Superseded by an earlier time, or `done` brings it back.
                continue
            if due > now:
                return None, due - now
            heapq.heappop(self._heap)
            del self._due[key]
            self._in_flight.add(key)
            return key, None
        return None, None


async def work(queue: KeyedQueue[K], handle: Callable[[K], Awaitable[float | None]]) -> None:
    """Handle keys for ever. `handle` says in how many seconds the key shall come again; it never raises."""
    while True:
        key = await queue.get()
        try:
            again = await handle(key)
            if again is not None:
                queue.add(key, again)
        finally:
            queue.done(key)
