"""The trainer starts first: it shares the pod's processors with us, and the whole group waits for it."""

import time
from collections.abc import Callable
from pathlib import Path

from edgetrain.rundir import FINISHING_FILE, read_heartbeat

HEAD_START_SECONDS = 10.0
"""At most: a trainer that waits for others, or fails, has measures and reports too."""
LOOK_SECONDS = 0.1


def give_head_start(run_dir: Path, sleep: Callable[[float], object] = time.sleep) -> None:
    """Wait until the trainer has taken part in a step, or is over; ten seconds at most.

    Called before our own imports. On most of one core they took half a second from a newcomer's way to its
    first step, and from the group's next step wherever they fell together with it.
    """
    for _ in range(round(HEAD_START_SECONDS / LOOK_SECONDS)):
        heartbeat = read_heartbeat(run_dir)
        if (heartbeat and heartbeat.step > 0) or (run_dir / FINISHING_FILE).exists():
            return
        sleep(LOOK_SECONDS)
