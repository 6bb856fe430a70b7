"""Which history a state, a vote or a formation is of. Numbers alone are used again in another one."""

from collections.abc import Sequence
from typing import NamedTuple

from edgetrain_protocol.base import Count, ShortText, Tolerant

GROUP_NAME = "[a-z0-9]([-a-z0-9]{0,61}[a-z0-9])?"
"""A regular expression: part of files' names, and of labels."""
ALL = "all"
"""The group of a job whose workers are all in one."""


class History(NamedTuple):
    """One history of a group's model: nothing that was committed in it is undone.

    Of two of one group the greater one is newer. Those of two groups are not to be compared.
    """

    lineage: int = 0
    """Of the global model; 0: of none yet."""
    group: str = ""
    generation: int = 0
    """Rises where the group has lost its majority for good and begins anew."""

    def __str__(self) -> str:
        return f"lineage {self.lineage}, group {self.group}, generation {self.generation}"


NO_HISTORY = History()
"""Before any plan."""


def first_of(lineage: int) -> History:
    """That of a job in which a lineage was the only name of a history, as before there were groups."""
    return History(lineage, ALL, 1)


def history_from(document: int | Sequence[int | str]) -> History:
    """Read what a state on a disk, or one that is sent, says that it is of.

    Raises:
        TypeError, ValueError: it is something else.
    """
    if isinstance(document, int):
        return first_of(document)
    lineage, group, generation = document
    return History(int(lineage), str(group), int(generation))


class OfHistory(Tolerant):
    """A document about one history. A worker of a version before groups names its lineage alone."""

    lineage: Count = 0
    group: ShortText = ALL
    generation: Count = 1

    @property
    def history(self) -> History:
        return History(self.lineage, self.group, self.generation)
