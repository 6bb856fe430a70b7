"""One pass through the program's loop."""

from dataclasses import dataclass

from edgetrain.engine.replay import Entry


@dataclass(frozen=True)
class Turn:
    """One pass through the program's loop."""

    epoch: int
    positions: tuple[int, ...]
    """This member's part of the step; empty: its batch does not count."""
    replay: Entry | None = None
    """A step that the others have committed before."""


class Superseded(Exception):
    """The others have gone on without this member, too far to follow step by step."""
