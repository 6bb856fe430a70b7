"""Where in its loops a program is, and where it has to be for the state at hand to be its state. Pure.

A state belongs to a place: what the program does between two passes through its data (a scheduler's step, an
evaluation) is part of its training. So a member whose state was replaced goes, without training, to where
that state was taken, and only there the state becomes its own.
"""

from collections.abc import Mapping
from dataclasses import dataclass, replace
from typing import Any, Self


@dataclass(frozen=True)
class Place:
    """A pass through the data, or the end of all loops."""

    epoch: int = 0
    inside: bool = False
    """Past its head: the program has begun to go through the data, or has been through them."""
    over: bool = False
    """The program has left its loops and saves its model."""

    def to_document(self) -> dict[str, Any]:
        return {"epoch": self.epoch, "inside": self.inside, "over": self.over}

    @classmethod
    def from_document(cls, document: Mapping[str, Any]) -> Self | None:
        """None for what an older version has written, whose programs had one loop and no place in it."""
        if not document:
            return None
        return cls(int(document["epoch"]), bool(document["inside"]), bool(document["over"]))


OVER = Place(over=True)


class Places:
    """One program's."""

    def __init__(self) -> None:
        self.here = Place()
        self.wanted: Place | None = None
        """Where the state at hand was taken; None where it is this program's own."""

    @property
    def elsewhere(self) -> bool:
        """The program is to go on, without training, to where its state was taken."""
        return self.wanted not in (None, self.here)

    def enter(self) -> None:
        """The program is about to go through the data."""
        self.here = replace(self.here, inside=True)

    def after(self, epoch: int) -> Place:
        """Where the loop over epochs goes from this one."""
        return self.wanted or Place(epoch + 1)
