"""When a holder calls for the office: what it has heard of the others, and of a lead. Pure.

Seconds are of its own clock.
"""

from collections.abc import Collection, Sequence
from dataclasses import dataclass, replace
from typing import Self

from edgetrain.rounds.succession import calls_at

HEARD_SECONDS = 2.0
"""After a word of it a holder counts as heard. It says one every BEAT_SECONDS."""
BEAT_SECONDS = 0.3


@dataclass(frozen=True)
class Rivals:
    silent_since: float
    """Since then it has heard no lead; its own last call counts as a word of one."""
    heard: tuple[tuple[str, float], ...] = ()
    """When each of the others was last heard."""

    def hear(self, holder: str, now: float) -> Self:
        return replace(self, heard=tuple({**dict(self.heard), holder: now}.items()))

    def lost(self, holder: str) -> Self:
        """Nobody listens where it did: its process has ended, and is not heard until it says something."""
        return replace(self, heard=tuple(one for one in self.heard if one[0] != holder))

    def led(self, now: float) -> Self:
        """It has heard a lead, or is one, or has just called."""
        return replace(self, silent_since=now)

    def here(self, now: float) -> frozenset[str]:
        """The others that are heard."""
        return frozenset(holder for holder, at in self.heard if now - at < HEARD_SECONDS)

    def call_at(self, name: str, line: Sequence[str], council: Collection[str], now: float) -> float | None:
        """When `name`, of the council, calls if nothing comes between; None while it hears too few."""
        heard = self.here(now) & set(council)
        return calls_at(name, line, heard, len(council), self.silent_since)

    def loses(self, name: str, council: Collection[str], now: float) -> bool:
        """Whether a lead hears so few that it commits nothing: whoever asks it should ask another."""
        return 2 * (1 + len((self.here(now) & set(council)) - {name})) <= len(council)
