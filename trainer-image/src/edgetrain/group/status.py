"""What a supervisor says of itself and its trainer to the others, and what it knows from the plan."""

from dataclasses import dataclass, replace
from enum import StrEnum
from typing import NamedTuple

from edgetrain.group.members import Formation, Member, Pod
from edgetrain.link.terms import DEFAULT_TERMS, Terms
from edgetrain_protocol.history import NO_HISTORY, History


class Stage(StrEnum):
    STARTING = "starting"
    """No trainer has come to its loop."""
    FRESH = "fresh"
    """Ready, without state in this history."""
    STARTED = "started"
    """Holds the state from which a generation begins: initial, or of a checkpoint."""
    FETCHING = "fetching"
    CAUGHT_UP = "caught up"
    """Holds a donor's state and follows it."""
    FORMING = "forming"
    """In a formation that is not built yet."""
    TRAINING = "training"
    BROKEN = "broken"
    """Has left its formation, which failed."""
    STOPPED = "stopped"
    """Has left its formation at a boundary, as all of it voted."""


@dataclass(frozen=True)
class Status:
    """Sent at each change that others decide by, and as the first thing on a new connection."""

    pod: Pod
    member: Member | None = None
    stage: Stage = Stage.STARTING
    history: History = NO_HISTORY
    revision: int = 0
    """Of the plan that it holds."""
    formation: int = 0
    """Number of the last formation its trainer was in."""
    formation_name: str = ""
    base: int = 0
    """Number of the newest formation that it knows to have committed."""
    committed: int = 0
    whole: bool = False
    """Its trainer holds the state of that step of this history: others could go on from it."""
    closed: int = 0
    """The highest number that it will not vote for any more."""
    layout: str = ""
    program: str = ""
    """Hash of its program's files; empty where that is not known."""
    reach: tuple[str, ...] = ()
    """Workers that it hears."""
    suspects: tuple[str, ...] = ()
    """Of a broken formation: whom its trainer could not reach."""
    doubts: tuple[str, ...] = ()
    """Members that keep it and all others waiting, as it sees them."""
    stuck: tuple[str, ...] = ()
    """Workers to whom our data do not get through, though they are heard: in the last formation, until the
    next one; of one that fetches, the donor from whom nothing comes."""
    hung: bool = False
    """Its trainer does not answer."""
    finished: bool = False

    def without_state(self) -> "Status":
        """The same, in no formation and with nothing committed."""
        return replace(self, formation=0, formation_name="", committed=0, whole=False, suspects=(), stuck=())

    @property
    def decisive(self) -> "Status":
        """What decisions look at: not how many steps are done while more are being done, which heartbeats
        tell."""
        return replace(self, committed=0) if self.stage is Stage.TRAINING else self

    def alike(self, other: "Status") -> bool:
        """Whether both train the same: else replicas would drift apart, most of the time without a word."""
        known = self.program and other.program
        return self.layout == other.layout and (not known or self.program == other.program)

    def was_in(self, formation: Formation) -> bool:
        """Whether that is the last one that its trainer was in."""
        return self.formation == formation.number and self.formation_name in ("", formation.name)


class Pace(NamedTuple):
    """How a trainer gets on, with each heartbeat."""

    formation: int
    step: int
    waiting: bool
    """For the others: in a reduction, a vote, or between steps."""
    since: float
    """When this was first so, by the receiver's clock."""
    usual: float
    """Seconds of its own work a step; 0 where not known yet."""


class Origin(NamedTuple):
    """The one state from which a generation starts."""

    step: int
    worker: str = ""
    """Who holds it in memory; empty where it is a checkpoint."""
    incarnation: str = ""
    history: History = NO_HISTORY
    """Of the checkpoint."""
    digest: str = ""


@dataclass(frozen=True)
class PlanView:
    """What the plan says to this group."""

    history: History
    revision: int
    pods: tuple[Pod, ...]
    """Who shall be in, in the order of ranks."""
    succession: tuple[str, ...]
    founders: tuple[Pod, ...]
    """By whose majority the generation begins; nobody where the plan does not say yet."""
    begun: bool = False
    """A step was committed in this generation."""
    train: bool = True
    terms: Terms = DEFAULT_TERMS
    origin: Origin | None = None
    """None: the generation starts from the program's own beginning."""
    nudge: int = 0
    """Rises where all stand still: bars and patience of before count no more."""

    def in_line(self, workers: frozenset[str]) -> tuple[str, ...]:
        """`workers` in the order in which they lead."""
        first = [w for w in self.succession if w in workers]
        then = [p.worker for p in self.pods if p.worker in workers and p.worker not in first]
        return (*first, *then, *sorted(workers.difference(first, then)))

    def rank(self, member: Member) -> tuple[int, str]:
        """Sorts members into their order of ranks."""
        place = self.pods.index(member.home) if member.home in self.pods else len(self.pods)
        return place, member.worker
