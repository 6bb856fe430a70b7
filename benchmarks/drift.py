"""Example scripts in groups of three while a member is killed, stopped for ten seconds or joins, at a random
moment: whether all end with one model, in the same number of steps, and nothing had to be mended."""

import os
import random
import signal
import sys
import tempfile
import time
from collections.abc import Callable, Iterator
from contextlib import contextmanager
from dataclasses import dataclass
from pathlib import Path

from benchmarks.harness import Goal, Row, end_when_told, publish
from edgetrain import link
from tests.support.group import ROOT
from tests.support.trainers import Coordinator, Trainer, coordinating, stop_all

SCRIPTS = ROOT / "examples" / "scripts"
SEEDS = int(os.environ.get("SEEDS", "20"))
SEED = int(os.environ.get("SEED", "0"))
NAMES = os.environ.get("SCRIPTS", "").split(",") if os.environ.get("SCRIPTS") else None
PAUSE_SECONDS = 0.2
"""After each step of an optimiser, so that a fault comes somewhere in the middle."""
STOPPED_SECONDS = 10.0


@dataclass
class Outcome:
    steps: int
    epoch: int
    """The last."""
    models: int
    """Different ones, at the end."""
    mended: int
    """Times that a member's parameters were found to differ by more than the last bits."""

    def as_long_as(self, right: "Outcome") -> bool:
        """Whether it has as many steps in its epochs. A program that stops early may do so in another one:
        what a lost member had in hand is in later batches."""
        an_epoch = -(-right.steps // (right.epoch + 1))
        return self.steps - right.steps == an_epoch * (self.epoch - right.epoch)


def undisturbed(script: Path) -> Outcome:
    with _group(script, 0.0) as group:
        group.run()
        return _ended(group)


def killed(group: Coordinator, chance: random.Random) -> None:
    group.lose(chance.choice(group.members))


def stopped(group: Coordinator, chance: random.Random) -> None:
    member = chance.choice(group.members)
    member.signal(signal.SIGSTOP)
    group.reform(without=(member,))
    until = time.monotonic() + STOPPED_SECONDS
    group.until(lambda: time.monotonic() > until or group.finished())
    member.signal(signal.SIGCONT)
    _join(group, member)


def joined(group: Coordinator, chance: random.Random) -> None:
    _join(group, group.spawn("d", pause=0.0))


FAULTS: tuple[Callable[[Coordinator, random.Random], None], ...] = (killed, stopped, joined)


def disturbed(script: Path, seed: int) -> Outcome:
    chance = random.Random(f"{script.stem} {seed}")
    with _group(script, PAUSE_SECONDS) as group:
        group.until(lambda: group.committed() >= 2)
        # Nothing to wait for: that it is any moment is the point.
        time.sleep(chance.random() * 2.0)
        if not group.finished():
            chance.choice(FAULTS)(group, chance)
        group.run()
        return _ended(group)


def _join(group: Coordinator, newcomer: Trainer) -> None:
    if not group.finished():
        group.join(newcomer)


@contextmanager
def _group(script: Path, pause: float) -> Iterator[Coordinator]:
    """Three members that train; they end with it."""
    with (
        tempfile.TemporaryDirectory(prefix="drift-", ignore_cleanup_errors=True) as folder,
        coordinating(Path(folder), script=str(script), pause=pause) as group,
    ):
        group.start(group.spawn_all("a", "b", "c"))
        yield group


def _ended(group: Coordinator) -> Outcome:
    living = [member for member in group.members if member.alive]
    models = {member.last(link.Finished).digest for member in living}
    told = [progress for member in living if (progress := member.last(link.Progress))]
    mended = sum(int(progress.metrics.get("parametersDiffered", 0)) for progress in told)
    stop_all(group)
    steps = max((progress.step for progress in told), default=0)
    epoch = max((progress.epoch for progress in told), default=0)
    return Outcome(steps, epoch, len(models), mended)


def outcomes(script: Path) -> Iterator[tuple[Outcome, Outcome]]:
    """Each disturbed run beside the undisturbed one."""
    right = undisturbed(script)
    for seed in range(SEED, SEED + SEEDS):
        found = disturbed(script, seed)
        if found.models > 1 or found.mended or not found.as_long_as(right):
            print(f"  {script.stem}, seed {seed}: {found}; undisturbed: {right}", flush=True)
        yield right, found


def main() -> int:
    end_when_told()
    scripts = [path for path in sorted(SCRIPTS.glob("*.py")) if NAMES is None or path.stem in NAMES]
    found = [pair for script in scripts for pair in outcomes(script)]
    forked = sum(outcome.models > 1 for _, outcome in found)
    mended = sum(outcome.mended for _, outcome in found)
    longer = sum(not outcome.as_long_as(right) for right, outcome in found)
    rows = [
        Row("runs", len(found), "runs", None, (len(found),)),
        Row("runs that ended with several models", forked, "runs", Goal("==", 0), (forked,)),
        Row("times that parameters had to be mended", mended, "times", Goal("==", 0), (mended,)),
        Row("runs with another number of steps", longer, "runs", Goal("==", 0), (longer,)),
    ]
    return 0 if publish("drift", rows) else 1


if __name__ == "__main__":
    sys.exit(main())
