"""The end of what a program wrote to standard error: why it failed, as far as it said."""

from collections import deque
from dataclasses import dataclass, field

_KEPT_LINES = 60
_SPOKEN_LINES = 12
_SPOKEN_CHARACTERS = 2500
"""As much as a condition and a termination log take, with what else is said there."""


@dataclass
class LastWords:
    """Bytes come as they are read: a line may come in parts, or never end, as a progress bar's does not."""

    _lines: deque[str] = field(default_factory=lambda: deque(maxlen=_KEPT_LINES))
    _begun: bytes = b""

    def hear(self, written: bytes) -> None:
        """What the program wrote next."""
        *ended, begun = (self._begun + written).split(b"\n")
        self._lines.extend(map(_shown, ended))
        self._begun = begun[-_SPOKEN_CHARACTERS:]

    @property
    def amid_a_line(self) -> bool:
        """Whether whoever writes next would write on the same line."""
        return bool(self._begun)

    @property
    def spoken(self) -> str:
        """The last lines that say something."""
        words = [line for line in (*self._lines, _shown(self._begun)) if line.strip()]
        return "\n".join(words[-_SPOKEN_LINES:])[-_SPOKEN_CHARACTERS:] or "it said nothing"


def _shown(line: bytes) -> str:
    """The line as a terminal leaves it: what follows a carriage return is written over what was there."""
    return line.decode(errors="replace").rstrip().rpartition("\r")[2][-_SPOKEN_CHARACTERS:]
