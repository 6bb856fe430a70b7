"""What supervisors say to one another of votes, beside the vote itself."""

from dataclasses import dataclass

from edgetrain.group.members import Formation, Member
from edgetrain.group.rules import Vote
from edgetrain.link.messages import Decision
from edgetrain_protocol.history import History


@dataclass(frozen=True)
class Call:
    """The sender asks each member of `formation`, and each witness, for its vote.

    Witnesses are members of older formations whose votes are needed, though they cannot be in this one: they
    lack the newest state, or their programs are away. After Paris, "Voting with witnesses" (ICDCS 1986).
    """

    history: History
    formation: Formation
    witnesses: tuple[Member, ...] = ()

    @property
    def voters(self) -> tuple[Member, ...]:
        """All whose votes it needs."""
        return (*self.formation.members, *self.witnesses)


@dataclass(frozen=True)
class Refusal:
    """`promised`: numbers up to it are closed. `reason` is for the log."""

    history: History
    formation: Formation
    promised: int
    reason: str


@dataclass(frozen=True)
class Established:
    """All have voted, and enough of them: the members build it."""

    history: History
    formation: Formation
    current: tuple[Member, ...]
    decision: Decision
    step: int


Said = Call | Vote | Refusal | Established
