"""The keyed queue: each key once, one in flight, the earliest time, growing delays."""

import asyncio
import time
from collections.abc import Coroutine
from contextlib import suppress
from typing import Any

import pytest

from edgetrain_operator.runtime.queue import LONGEST_RETRY_SECONDS, KeyedQueue, work


def run(story: Coroutine[Any, Any, None]) -> None:
    asyncio.run(asyncio.wait_for(story, 10))


def test_a_key_added_often_comes_once() -> None:
    async def story() -> None:
        queue: KeyedQueue[str] = KeyedQueue()
        for _ in range(5):
            queue.add("a")
        queue.add("b")
        assert [await queue.get(), await queue.get()] == ["a", "b"]
        assert queue.depth == 0

    run(story())


def test_a_key_in_flight_waits_and_comes_again_afterwards() -> None:
    async def story() -> None:
        queue: KeyedQueue[str] = KeyedQueue()
        queue.add("a")
        key = await queue.get()
        queue.add("a")
        with pytest.raises(TimeoutError):
            await asyncio.wait_for(queue.get(), 0.05)
        queue.done(key)
        assert await queue.get() == "a"

    run(story())


def test_of_several_times_the_earliest_holds() -> None:
    async def story() -> None:
        queue: KeyedQueue[str] = KeyedQueue()
        queue.add("a", 60.0)
        queue.add("a", 0.02)
        queue.add("a", 30.0)
        began = time.monotonic()
        assert await queue.get() == "a"
        assert 0.015 < time.monotonic() - began < 5
        assert queue.depth == 0

    run(story())


def test_one_who_waits_is_woken_by_an_earlier_key() -> None:
    async def story() -> None:
        queue: KeyedQueue[str] = KeyedQueue()
        queue.add("late", 60.0)
        waiting = asyncio.create_task(queue.get())
        await asyncio.sleep(0)
        queue.add("now")
        assert await waiting == "now"

    run(story())


def test_delays_of_a_failing_key_grow_to_a_bound_and_start_anew_after_success() -> None:
    queue: KeyedQueue[str] = KeyedQueue()
    delays = [queue.retry_delay("a") for _ in range(12)]
    assert delays[0] < 1.0 < delays[3] < delays[6]
    assert max(delays) <= LONGEST_RETRY_SECONDS * 1.2
    queue.succeeded("a")
    assert queue.retry_delay("a") < 1.0


def test_two_workers_never_have_the_same_key_and_all_keys_are_handled() -> None:
    async def story() -> None:
        queue: KeyedQueue[int] = KeyedQueue()
        busy: set[int] = set()
        done = asyncio.Event()
        times: dict[int, int] = {}

        async def handle(key: int) -> float | None:
            assert key not in busy
            busy.add(key)
            await asyncio.sleep(0.001)
            busy.remove(key)
            times[key] = times.get(key, 0) + 1
            if len(times) == 20 and min(times.values()) == 3:
                done.set()
            return 0.001 if times[key] < 3 else None

        workers = [asyncio.create_task(work(queue, handle)) for _ in range(4)]
        for key in range(20):
            queue.add(key)
            queue.add(key)
        await done.wait()
        for worker in workers:
            worker.cancel()
            with suppress(asyncio.CancelledError):
                await worker

    run(story())


def test_age_is_that_of_the_oldest_due_key() -> None:
    async def story() -> None:
        queue: KeyedQueue[str] = KeyedQueue()
        queue.add("later", 60.0)
        assert (queue.depth, queue.oldest_seconds) == (0, 0.0)
        queue.add("now")
        await asyncio.sleep(0.03)
        assert queue.depth == 1
        assert 0.02 < queue.oldest_seconds < 5

    run(story())
