"""One pass through the program's loop, and what came of it."""

from typing import NamedTuple

from edgetrain.engine.formation.proposals import Told
from edgetrain.engine.step_kind import StepKind
from edgetrain.engine.transfer.replay_log import Entry
from edgetrain_protocol.history import NO_HISTORY, History


class StepAssignment(NamedTuple):
    """One pass through the program's loop."""

    epoch: int
    positions: tuple[int, ...]
    """This member's part of the step; empty: its batch does not count."""
    cursor: int = 0
    """Of the record before it: positions of the epoch that were handed out."""
    replay: Entry | None = None
    """A step that the others have committed before."""
    done: Entry | None = None
    """A step that is committed here too: its gradients are what the program is to get."""
    kind: StepKind = StepKind.BATCH
    weight: float | None = None
    """Of this member's part, where it is not the number of its samples."""
    numbers: tuple[float, ...] = ()
    """What this member brings into a step of numbers."""
    proposal: Told | None = None
    """What it brings into a step that merges."""


class Step(NamedTuple):
    """A committed step, as this member saw it."""

    number: int
    epoch: int
    loss: float
    """Mean over the whole batch."""
    positions: tuple[int, ...] = ()
    """All of its samples, over all members; none for a step that was replayed."""
    members: int = 0
    """Whose samples are in it."""
    history: History = NO_HISTORY
    """Which history of the model it belongs to."""


class Superseded(Exception):
    """The others have gone on without this member, too far to follow step by step."""


class Rewound(Superseded):
    """The state is to be again what it was before the step: others wait for it, or its batch is cut anew."""
