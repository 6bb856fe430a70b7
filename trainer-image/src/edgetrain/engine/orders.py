"""What the supervisor has asked of this trainer and the program's thread has not done yet."""

from dataclasses import dataclass

from edgetrain.link import Start


@dataclass
class Orders:
    """Written by the link's thread, read by the program's; guarded by the member's condition."""

    start: Start | None = None
    rewind: bool = False
    """A step in hand is to be given up: the state before it is handed to others, or its batch cut anew."""
    stop: bool = False
    finish: bool = False
    """To be asked in the next step: that no further epoch begins."""
    closed: bool = False
    """The supervisor is gone: nobody would vote for this trainer any more."""
    reform: bool = False
    """To be asked in the next vote."""
    hold_revision: int = 0
