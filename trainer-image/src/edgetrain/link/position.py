"""Where a trainer stands: which formation, which step, what is in doubt. Plain frozen data."""

from dataclasses import dataclass
from enum import StrEnum
from typing import NamedTuple


class FormationId(NamedTuple):
    """Names one process group; compares by lineage first, then by the number that was voted."""

    lineage: int
    number: int
    revision: int = 0


@dataclass(frozen=True)
class Prepared:
    """A step whose reduced gradients are held in scratch, not yet known to be held by all."""

    formation: FormationId
    step: int


@dataclass(frozen=True)
class Position:
    """How far a trainer's state has come.

    `formation` is the one in which step `committed` was committed; None before the first.
    """

    lineage: int = 0
    formation: FormationId | None = None
    committed: int = 0
    prepared: Prepared | None = None


class Decision(StrEnum):
    """What becomes of the step in doubt when a formation begins."""

    APPLY = "apply"
    """Every member of `current` holds it prepared, or somebody has committed it: all commit it."""
    REDO = "redo"
    """Somebody lacks it, so nobody committed it: its kept local gradients are reduced again."""
    NONE = "none"
    """All stopped at a boundary, or nothing was ever trained."""
