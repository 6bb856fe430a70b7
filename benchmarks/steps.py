"""What the journal program wrote down, read from the kubelets' log files while it is being written.

A node whose power is cut still has its file, and no API server is asked, so that reading disturbs nothing.
"""

import itertools
import json
import re
import threading
from collections import defaultdict
from collections.abc import Iterable, Iterator, Sequence
from contextlib import contextmanager
from dataclasses import dataclass, field
from pathlib import Path
from typing import Any, BinaryIO

from edgetrain_protocol.history import NO_HISTORY, History, history_from

STEP_MARK = "STEP "
BEGIN_MARK = "BEGIN "
_BEFORE_MARK = re.compile(rf"(?<=\S)(?=(?:{STEP_MARK}|{BEGIN_MARK})\{{)")
LATE_SECONDS = 2.0
"""A step is late if it comes this long after the one before; a re-forming takes less."""
_FOLLOW_SECONDS = 0.3


@dataclass(frozen=True)
class Step:
    """One step committed by one member. `at`: Unix time, seconds."""

    node: str
    process: str
    """The log file: one for each start of the container."""
    step: int
    at: float
    epoch: int
    members: int
    """How many had samples in the step; 0 where it was replayed."""
    indices: tuple[int, ...]
    """All samples of the step, over all members."""
    digest: str | None
    """Of the parameters after it."""
    loss: float
    history: History = NO_HISTORY
    """Which history of its group's model."""
    samples: int = 0
    """How many samples the step has, over all members; `indices` may have been left out."""

    @property
    def replayed(self) -> bool:
        """Taken from a donor by one who caught up, and so without word of whose samples were in it."""
        return not self.members


@dataclass(frozen=True)
class Begin:
    """The program's first line in one process, torch imported. `at`: Unix time, seconds."""

    node: str
    at: float


def lines_of(log: str) -> list[str]:
    """The lines of a log. A program that is killed between a line and its end leaves the next one's first
    line on the same line."""
    return [part for line in log.splitlines() for part in _BEFORE_MARK.split(line)]


def said_after(mark: str, line: str) -> dict[str, Any] | None:
    """What a line in the container log format says after a mark; None where the line is something else, or
    its writer was killed within it."""
    _, found, text = line.partition(mark)
    try:
        said: dict[str, Any] | None = json.loads(text) if found else None
    except json.JSONDecodeError:
        return None
    return said


def parse(node: str, process: str, line: str) -> Step | None:
    """A step from a line in the container log format; None where the line is something else."""
    if (said := said_after(STEP_MARK, line)) is None:
        return None
    return Step(
        node=node,
        process=process,
        step=said["step"],
        at=said["at"],
        epoch=said["epoch"],
        members=said["members"],
        indices=tuple(said["indices"]),
        digest=said.get("digest"),
        loss=said["loss"],
        history=history_from(said["history"]),
        samples=said["samples"],
    )


@dataclass
class Journal:
    """Reads all workers' logs, each from where it last stopped."""

    logs: dict[str, Path]
    """Of each node: the directory with its pods' logs."""
    steps: list[Step] = field(default_factory=list)
    begun: list[Begin] = field(default_factory=list)
    words: dict[str, list[str]] = field(default_factory=lambda: defaultdict(list))
    """What else each node's processes logged, in the order in which it was read."""
    _old: set[Path] = field(default_factory=set)
    """Directories of pods that were there before: of another job, which the kubelet has not removed yet."""
    _open: dict[tuple[str, str, int], BinaryIO] = field(default_factory=dict)
    """By node, pod and inode: the kubelet renames a log that has grown to 10 MB and starts another. They stay
    open, since with a pod that is deleted its logs go too: what was opened can still be read."""
    _reading: threading.Lock = field(default_factory=threading.Lock)

    def pass_over(self, node: str) -> None:
        """Never read what the pods that this node has now have logged."""
        self._old.update(self.logs[node].glob("*"))

    def read(self) -> list[Step]:
        """All steps so far, in no order."""
        with self._reading:
            for node, folder in self.logs.items():
                for file in folder.glob("*/trainer/*.log*"):
                    if file.parent.parent not in self._old:
                        self._open_if_new(node, file)
            for (node, pod, _), opened in self._open.items():
                self._read_on(node, pod, opened)
            return list(self.steps)

    @contextmanager
    def followed(self) -> Iterator[None]:
        """Read all the time, so that nothing is missed of pods that are deleted."""
        over = threading.Event()

        def follow() -> None:
            while not over.wait(_FOLLOW_SECONDS):
                self.read()

        follower = threading.Thread(target=follow, name="journal", daemon=True)
        follower.start()
        try:
            yield
        finally:
            over.set()
            follower.join()

    def close(self) -> None:
        """Let go of the files; what was read stays."""
        with self._reading:
            for opened in self._open.values():
                opened.close()
            self._open.clear()

    def __del__(self) -> None:
        self.close()

    def _open_if_new(self, node: str, file: Path) -> None:
        try:
            key = node, file.parent.parent.name, file.stat().st_ino
            if file.suffix != ".gz" and key not in self._open:
                self._open[key] = file.open("rb")
        except FileNotFoundError:
            return  # Its pod was deleted between the look into the directory and this one.

    def _read_on(self, node: str, pod: str, opened: BinaryIO) -> None:
        begin = opened.tell()
        text = opened.read()
        whole = text[: text.rfind(b"\n") + 1]
        opened.seek(begin + len(whole))
        process = f"{pod}/{Path(opened.name).name.partition('.')[0]}"
        for line in lines_of(whole.decode(errors="replace")):
            if step := parse(node, process, line):
                self.steps.append(step)
            elif said := said_after(BEGIN_MARK, line):
                self.begun.append(Begin(node, said["at"]))
            else:
                self.words[node].append(line)

    def newest(self) -> dict[str, Step]:
        """The latest step of each node."""
        latest: dict[str, Step] = {}
        for step in self.read():
            if step.node not in latest or step.at > latest[step.node].at:
                latest[step.node] = step
        return latest


def by_step(steps: Iterable[Step]) -> dict[tuple[History, int], list[Step]]:
    """The members' lines of each step, by history and number."""
    grouped: dict[tuple[History, int], list[Step]] = defaultdict(list)
    for step in steps:
        grouped[step.history, step.step].append(step)
    return dict(grouped)


def first_without(steps: Iterable[Step], lost: str, after: float, whole: int) -> float | None:
    """When the first step was committed that has nothing of a lost node's in it; None while there is none.

    `whole` members had trained together before. A step already under way when the node was lost, and
    committed with its gradients, does not count.
    """
    moments = [s.at for s in steps if s.node != lost and s.at > after and 0 < s.members < whole]
    return min(moments, default=None)


def commits(steps: Iterable[Step]) -> list[float]:
    """When each step was committed, by whoever was first, in order of time."""
    return sorted(min(line.at for line in lines) for lines in by_step(steps).values())


def gaps(steps: Sequence[Step], begin: float, end: float) -> list[float]:
    """Seconds between the commits of successive steps in a span of time."""
    moments = [at for at in commits(steps) if begin <= at <= end]
    return [b - a for a, b in itertools.pairwise([begin, *moments, end])]
