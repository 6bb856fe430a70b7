"""The vote on a step: a member that has all votes knows that every member has prepared the step."""

from collections.abc import Sequence

from msgspec import Struct

from edgetrain.engine.formation.gloo import GroupBroken
from edgetrain.engine.formation.reducer import Gather, Reducer
from edgetrain.engine.step_kind import StepKind


class CommitVote(Struct, frozen=True):
    """What one member puts into the vote."""

    step: int
    kind: StepKind
    place: int
    """Of the program: epoch, and what is left of it."""
    hold_revision: int
    reform: bool
    save: bool
    merge: bool
    """Its envoy has something for the group, which is to be done at the next boundary."""
    speed: float
    """Samples a second of busy time."""
    digest: int
    """Of the parameters before this step; 0: not compared this time."""
    again: bool = False
    """This member's gradients have changed after they had been sent: they are to be summed anew."""
    sum_seconds: float = 0.0
    """That the sum took, from when the first of it went out."""

    def row(self) -> list[int]:
        flags = [int(self.reform), int(self.save), int(self.merge), int(self.again)]
        measured = [round(self.speed * 1000), round(self.sum_seconds * 1e6)]
        return [self.step, int(self.kind), self.place, self.hold_revision, *flags, *measured, self.digest]


class VoteOutcome(Struct, frozen=True):
    """What all members read from it alike."""

    held: int
    """Every member holds this plan revision."""
    reform: bool
    """Somebody asks all to stop at this boundary."""
    save: bool
    """It is time for a checkpoint: at this boundary, so that all who save one save the same step."""
    merge: bool
    """At the next boundary all do what the aggregator's envoy proposes."""
    speeds: list[float]
    """By rank."""
    drifted: bool
    """Members' parameters differ, by the last bits of another processor's kernels."""
    kinds: list[StepKind]
    """By rank; where they differ, nothing is committed. So it is with places."""
    places: list[int]
    again: bool
    """Nothing is committed yet: all sum once more, then vote once more."""
    sum_seconds: float
    """Of the member whose sum took longest."""


NUMBERS = len(CommitVote.__struct_fields__)
"""Of each member's row."""


def expect_votes(reducer: Reducer) -> Gather:
    """Make room for them, before the sum: they come without a further round trip then."""
    return reducer.expect_rows(NUMBERS)


def vote(gather: Gather, own: CommitVote) -> VoteOutcome:
    """Raises GroupBroken: the step is in doubt."""
    return count(own, gather(own.row()))


def count(own: CommitVote, rows: Sequence[Sequence[int]]) -> VoteOutcome:
    """Read the gathered rows. Pure."""
    steps, kinds, places, held, reforms, saves, merges, again, speeds, sums, digests = zip(*rows, strict=True)
    if set(steps) != {own.step}:
        raise GroupBroken(f"members vote on different steps: {steps}")
    return VoteOutcome(
        held=min(held),
        reform=any(reforms),
        save=any(saves),
        merge=any(merges),
        speeds=[speed / 1000 for speed in speeds],
        drifted=len(set(digests)) > 1,
        kinds=[StepKind(kind) for kind in kinds],
        places=list(places),
        again=any(again),
        sum_seconds=max(sums) / 1e6,
    )
