"""Groups of real supervisors whose trainers only pretend (tests/train/fake_trainer.py)."""

import sys
from collections.abc import Callable
from pathlib import Path

from benchmarks.waiting import wait_for
from tests.support.group import LocalGroup, Worker

FAKE = Path(__file__).parents[1] / "train" / "fake_trainer.py"
ENDLESS = 1_000_000

Start = Callable[..., LocalGroup]


def pretending(directory: Path, size: int, steps: int = ENDLESS) -> LocalGroup:
    """Not started, and without a plan."""

    def command(worker: Worker) -> list[str]:
        return [sys.executable, str(FAKE), str(worker.log), str(steps)]

    return LocalGroup(directory, command, size)


def trained(group: LocalGroup, *members: int) -> LocalGroup:
    wait_for(lambda: group.whole(*members) and group.step > 5, 20, group.tail)
    return group
