"""Where in its loops a program is, and where it has to be for the state at hand to be its state. Pure.

A state belongs to a place: what the program does between two passes through its data (a scheduler's step, an
evaluation) is part of its training. So a member whose state was replaced goes, without training, to where
that state was taken, and only there the state becomes its own.
"""

from collections.abc import Mapping
from typing import Any, NamedTuple, Self


class Place(NamedTuple):
    """A pass through the data, or the end of all loops."""

    epoch: int = 0
    inside: bool = False
    """Past its head: the program has begun to go through the data, or has been through them."""
    over: bool = False
    """The program has left its loops and saves its model."""
    passed: int = 0
    """Batches of this pass that the program was given."""
    loader: int = 0
    """Which of the program's loaders it goes through, by the order in which they were made."""

    def to_document(self) -> dict[str, Any]:
        return self._asdict()

    @classmethod
    def from_document(cls, document: Mapping[str, Any]) -> Self | None:
        """None for what an older version has written, whose programs had one loop and no place in it."""
        if not document:
            return None
        passed, loader = int(document.get("passed", 0)), int(document.get("loader", 0))
        return cls(int(document["epoch"]), bool(document["inside"]), bool(document["over"]), passed, loader)


OVER = Place(over=True)


class Places:
    """One program's."""

    def __init__(self) -> None:
        self.here = Place()
        self.wanted: Place | None = None
        """Where the state at hand was taken; None where it is this program's own."""
        self.counts = False
        """The program counts its batches: which one it has is part of where it is."""
        self.own_loop = False
        """It passes through its data in a loop of its own, and alone knows how many passes it has."""

    @property
    def elsewhere(self) -> bool:
        """The program is to go on, without training, to where its state was taken."""
        wanted = self.wanted
        return wanted is not None and (wanted != self._seen_from(wanted) or self.batches_behind != 0)

    @property
    def batches_behind(self) -> int:
        """How many more batches of this pass it has to be given to be there; below 0: it had too many."""
        wanted = self.wanted
        if not self.counts or wanted is None or wanted != self._seen_from(wanted):
            return 0
        return wanted.passed - self.here.passed

    def _seen_from(self, wanted: Place) -> Place:
        """Where the program is, but for the number of its batches; an older version has named no loader."""
        return self.here._replace(passed=wanted.passed, loader=self.here.loader if wanted.loader else 0)

    def enter(self, loader: int = 0) -> None:
        """The program is about to go through the data."""
        self.here = self.here._replace(inside=True, passed=0, loader=loader)

    def given(self) -> None:
        """A batch."""
        self.here = self.here._replace(passed=self.here.passed + 1)

    def after(self, epoch: int) -> Place:
        """Where the loop over epochs goes from this one."""
        return self.wanted or Place(epoch + 1)
