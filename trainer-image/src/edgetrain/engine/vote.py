"""The second, short reduction: who completes it knows that every member has prepared the step."""

from collections.abc import Sequence
from dataclasses import dataclass

from edgetrain.engine.gloo import GroupBroken
from edgetrain.engine.reduce import Reduction


@dataclass(frozen=True)
class Ballot:
    """What one member puts into the vote."""

    step: int
    hold_revision: int
    reform: bool
    save: bool
    speed: float
    """Samples a second of busy time."""
    digest: int
    """Of the parameters before this step; 0: not compared this time."""

    def row(self) -> list[int]:
        flags = [int(self.reform), int(self.save)]
        return [self.step, self.hold_revision, *flags, round(self.speed * 1000), self.digest]


@dataclass(frozen=True)
class Outcome:
    """What all members read from it alike."""

    held: int
    """Every member holds this plan revision."""
    reform: bool
    """Somebody asks all to stop at this boundary."""
    save: bool
    """It is time for a checkpoint: at this boundary, so that all who save one save the same step."""
    speeds: list[float]
    """By rank."""
    drifted: bool
    """Members' parameters differ, by the last bits of another processor's kernels."""


def vote(reduction: Reduction, ballot: Ballot) -> Outcome:
    """Raises GroupBroken: the step is in doubt."""
    return count(ballot, reduction.gather(ballot.row()))


def count(own: Ballot, rows: Sequence[Sequence[int]]) -> Outcome:
    """Read the gathered rows. Pure."""
    steps, held, reforms, saves, speeds, digests = zip(*rows, strict=True)
    if set(steps) != {own.step}:
        raise GroupBroken(f"members vote on different steps: {steps}")
    return Outcome(
        held=min(held),
        reform=any(reforms),
        save=any(saves),
        speeds=[speed / 1000 for speed in speeds],
        drifted=len(set(digests)) > 1,
    )
