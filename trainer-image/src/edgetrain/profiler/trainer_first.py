"""The trainer comes first: it shares the pod's processors with us, and the whole group waits for it."""

import sys
import time
from collections.abc import Callable, Iterator, Sequence
from contextlib import contextmanager
from importlib.abc import MetaPathFinder
from pathlib import Path

from edgetrain.rundir import FINISHING_FILE, read_heartbeat

HEAD_START_SECONDS = 10.0
"""At most: a trainer that waits for others, or fails, has measures and reports too."""
LOOK_SECONDS = 0.1
SHARE = 0.2
"""Of one core, for imports."""


def give_head_start(run_dir: Path, sleep: Callable[[float], object] = time.sleep) -> None:
    """Wait until the trainer has taken part in a step, or is over; ten seconds at most.

    On most of one core our imports took half a second from a newcomer's way to its first step.
    """
    for _ in range(round(HEAD_START_SECONDS / LOOK_SECONDS)):
        heartbeat = read_heartbeat(run_dir)
        if (heartbeat and heartbeat.step > 0) or (run_dir / FINISHING_FILE).exists():
            return
        sleep(LOOK_SECONDS)


@contextmanager
def importing_gently(sleep: Callable[[float], object] = time.sleep) -> Iterator[None]:
    """Imports within take a fifth of one core. At full speed they kept the group's next step waiting: a pod's
    quota knows no priorities, and what one container takes of it the other has to wait for."""
    finder = _Resting(sleep)
    sys.meta_path.insert(0, finder)
    try:
        yield
    finally:
        sys.meta_path.remove(finder)


class _Resting(MetaPathFinder):
    """Finds nothing; rests before each module for as long as those before it make due."""

    def __init__(self, sleep: Callable[[float], object]) -> None:
        self._sleep, self._rested = sleep, time.process_time()

    def find_spec(self, fullname: str, path: Sequence[str] | None, target: object = None) -> None:
        self._sleep((time.process_time() - self._rested) * (1 / SHARE - 1))
        self._rested = time.process_time()
