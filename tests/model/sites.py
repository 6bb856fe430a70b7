"""A simulated pod: its supervisor's machine and its trainer."""

from collections.abc import Callable
from dataclasses import dataclass, field

from edgetrain.group.ballot import Established
from edgetrain.group.machine import Group
from edgetrain.group.members import Member, Pod
from edgetrain.group.record import Record
from edgetrain.local.messages import Position


def index_of(pod: Pod) -> int:
    return int(pod.worker.removeprefix("w"))


@dataclass
class Trainer:
    """Trains as the engine does: contributes, prepares, commits; leaves for good."""

    member: Member
    position: Position = field(default_factory=Position)
    word: Established | None = None
    left: bool = True
    contributed: int = 0
    clean_at: int = -1
    """The step after which its group has voted to stop."""
    donor: int | None = None
    held: frozenset[Member] = frozenset()
    turn: int = 0
    """Rises with whatever makes timers of before meaningless."""


@dataclass
class Site:
    group: Group
    disk: Record | None
    trainer: Trainer | None = None
    starts: int = 0
    up: bool = True
    stopped: bool = False
    frozen: bool = False
    """Its trainer alone is stopped."""
    backlog: list[Callable[[], None]] = field(default_factory=list)
    lives: int = 0
    lost_disk: bool = False
