"""A simulated pod: its supervisor's machine and its trainer."""

from collections.abc import Callable
from dataclasses import dataclass, field

from edgetrain.group.machine import Group
from edgetrain.group.members import Member
from edgetrain.group.record import Record
from edgetrain.group.said import Established
from edgetrain.group.status import PlanView
from edgetrain.link.messages import FormationId, Position
from edgetrain_protocol.history import History

Content = tuple[frozenset[Member], ...]
"""Whose samples each step of a history contains, from the first."""
CHECKPOINTS_KEPT = 3


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
    in_hand: bool = False
    """A step that its program waits in the middle of, at no boundary of its loop."""
    held: frozenset[Member] = frozenset()
    content: Content = ()
    """Of the steps in its state."""
    whole: bool = False
    """In sync with the others of its history: fetched, or in a formation with them."""
    begun: bool = False
    """Holds the state from which a generation begins."""
    waits: tuple[int, FormationId] | None = None
    waits_since: float = 0.0
    stuck: list[str] = field(default_factory=list)
    """To whom its data do not get through, as it told."""
    turn: int = 0
    """Rises with whatever makes timers of before meaningless."""


@dataclass
class Site:
    group: Group
    disk: Record | None
    aside: dict[str, Record] = field(default_factory=dict)
    """On its disk too: its votes in groups that it has left."""
    trainer: Trainer | None = None
    starts: int = 0
    up: bool = True
    stopped: bool = False
    frozen: bool = False
    """Its trainer alone is stopped."""
    away: bool = False
    """Its program is in code of its own, and stays there."""
    backlog: list[Callable[[], None]] = field(default_factory=list)
    lives: int = 0
    lost_disk: bool = False
    dark: bool = False
    """Its node has no power."""
    kept_plan: PlanView | None = None
    """On its disk."""
    checkpoints: dict[tuple[History, int, str], Content] = field(default_factory=dict)
    """(history, step, digest) -> what is in it; on the node, and not gone with the pod."""

    def keep(self, name: tuple[History, int, str], content: Content) -> None:
        others = {n: kept for n, kept in self.checkpoints.items() if n[0].group != name[0].group}
        own = {n: kept for n, kept in self.checkpoints.items() if n not in others}
        self.checkpoints = others | dict(sorted([*own.items(), (name, content)])[-CHECKPOINTS_KEPT:])
