"""Where a trainer stands: which formation, which step, what is in doubt. Plain frozen data."""

from collections.abc import Sequence
from dataclasses import dataclass
from enum import StrEnum
from typing import Any, NamedTuple, Self

from edgetrain_protocol.history import NO_HISTORY, History, history_from


class FormationId(NamedTuple):
    """Names one process group; of two of one group the greater one is newer."""

    history: History
    number: int
    revision: int = 0

    def to_json(self) -> list[Any]:
        return [list(self.history), self.number, self.revision]

    @classmethod
    def from_json(cls, document: Sequence[Any]) -> Self:
        """
        Raises:
            TypeError, ValueError: it is something else.
        """
        history, number, revision = document
        return cls(history_from(history), int(number), int(revision))


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

    history: History = NO_HISTORY
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
