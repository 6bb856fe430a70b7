"""Waiting for what is to come, in benchmarks and tests alike."""

import time
from collections.abc import Callable
from typing import TypeVar

from edgelab.errors import LabError

Found = TypeVar("Found")


def wait_for(
    look: Callable[[], Found | None],
    seconds: float = 30.0,
    what: str | Callable[[], str] = "",
    every: float = 0.05,
) -> Found:
    """The first true value of `look`. What the lab refuses meanwhile is looked at again.

    Raises:
        TimeoutError: none came in time; the text says what was waited for, and what was seen last.
    """
    end = time.monotonic() + seconds
    while True:
        try:
            if found := look():
                return found
            last = repr(found)
        except LabError as refused:
            last = str(refused)
        if time.monotonic() >= end:
            raise TimeoutError(f"waited {seconds:g} s for {what() if callable(what) else what}; last: {last}")
        time.sleep(every)


def sleep_until(moment: float) -> None:
    """Until this Unix time; not at all where it is past."""
    time.sleep(max(0.0, moment - time.time()))
