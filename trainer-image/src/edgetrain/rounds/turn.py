"""What a group does at a boundary: a step, or a version that it applies. Both are prepared, voted, committed.

Turns are numbered through. Which one is next follows from the vote on the one before, which is the same for
all: so no member hands out a batch where another applies a version.
"""

from collections.abc import Collection
from dataclasses import dataclass
from enum import Enum

from edgetrain.data import Block


@dataclass(frozen=True)
class Step:
    """On these positions, which are leased to the group."""

    blocks: tuple[Block, ...]


@dataclass(frozen=True)
class Apply:
    """Of two versions of one number only one is committed: the digest tells which."""

    version: int
    digest: str


Deed = Step | Apply


@dataclass(frozen=True)
class Turn:
    number: int
    deed: Deed
    known: int
    """How many entries of the log its envoy had read when it said so."""


@dataclass(frozen=True)
class Held:
    """A turn that a member holds prepared."""

    formation: int
    turn: Turn


@dataclass(frozen=True)
class Place:
    """Where a member stands."""

    committed: int = 0
    """Number of its last turn."""
    held: Held | None = None


class Outcome(Enum):
    """Of a turn in doubt, when a formation begins."""

    APPLY = "apply"
    """All commit it: somebody has, or all hold the very same prepared."""
    DROP = "drop"
    """Nobody has committed it. A step's kept gradients are summed again, a version is asked for again."""


class TurnRules:
    """The rules, one method each, so that a test can break one and see that the exploration notices."""

    def may_commit(self, places: Collection[Place], held: Held) -> bool:
        """Whether a member of a formation may do what it holds prepared: `places` are all members'."""
        return all(p.held == held or p.committed >= held.turn.number for p in places)

    def outcome(self, places: Collection[Place]) -> Outcome:
        """Of the turn after the lowest place: `places` are of those who form anew, who were all in the last
        formation.

        They are at most one turn apart, since a commit needs everybody's word that the turn is prepared.
        """
        low = min(place.committed for place in places)
        behind = {self.tag(place) for place in places if place.committed == low}
        if any(place.committed > low for place in places):
            return Outcome.APPLY
        return Outcome.APPLY if len(behind) == 1 and None not in behind else Outcome.DROP

    def tag(self, place: Place) -> Held | None:
        """What it holds for its next turn: formation, number, and what is to be done."""
        held = place.held
        return held if held is not None and held.turn.number == place.committed + 1 else None
