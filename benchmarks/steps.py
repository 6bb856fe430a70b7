"""What the journal program wrote down, read from the kubelets' log files while it is being written.

A node whose power is cut still has its file, and no API server is asked, so that reading disturbs nothing.
"""

import itertools
import json
import os
from collections import defaultdict
from collections.abc import Iterable, Sequence
from dataclasses import dataclass, field
from pathlib import Path

MARK = "STEP "
LATE_SECONDS = 2.0
"""A step is late if it comes this long after the one before; a re-forming takes less."""


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

    @property
    def replayed(self) -> bool:
        """Taken from a donor by one who caught up, and so without word of whose samples were in it."""
        return not self.members


def parse(node: str, process: str, line: str) -> Step | None:
    """A step from a line in the container log format; None where the line is something else."""
    _, found, text = line.partition(MARK)
    if not found or not text.endswith("}"):
        return None
    said = json.loads(text)
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
    )


@dataclass
class Journal:
    """Reads all workers' logs, each from where it last stopped."""

    logs: dict[str, Path]
    """Of each node: the directory with its pods' logs."""
    steps: list[Step] = field(default_factory=list)
    _offsets: dict[tuple[str, int], int] = field(default_factory=lambda: defaultdict(int))
    """By pod and inode: the kubelet renames a log that has grown to 10 MB and starts another of its name,
    and a later pod's log may get the inode of one that was deleted."""

    def read(self) -> list[Step]:
        """All steps so far, in no order."""
        for node, folder in self.logs.items():
            for file in folder.glob("*/trainer/*.log*"):
                if file.suffix != ".gz":
                    self._read_on(node, file)
        return self.steps

    def _read_on(self, node: str, file: Path) -> None:
        with file.open("rb") as opened:
            key = file.parent.parent.name, os.fstat(opened.fileno()).st_ino
            opened.seek(self._offsets[key])
            text = opened.read()
        whole = text[: text.rfind(b"\n") + 1]
        self._offsets[key] += len(whole)
        process = f"{file.parent.parent.name}/{file.name.partition('.')[0]}"
        lines = whole.decode(errors="replace").splitlines()
        self.steps += [step for line in lines if (step := parse(node, process, line))]

    def newest(self) -> dict[str, Step]:
        """The latest step of each node."""
        latest: dict[str, Step] = {}
        for step in self.read():
            if step.node not in latest or step.at > latest[step.node].at:
                latest[step.node] = step
        return latest


def by_number(steps: Iterable[Step]) -> dict[int, list[Step]]:
    """The members' lines of each step."""
    grouped: dict[int, list[Step]] = defaultdict(list)
    for step in steps:
        grouped[step.step].append(step)
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
    return sorted(min(line.at for line in lines) for lines in by_number(steps).values())


def gaps(steps: Sequence[Step], begin: float, end: float) -> list[float]:
    """Seconds between the commits of successive steps in a span of time."""
    moments = [at for at in commits(steps) if begin <= at <= end]
    return [b - a for a, b in itertools.pairwise([begin, *moments, end])]
