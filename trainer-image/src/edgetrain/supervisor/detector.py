"""When a silent peer counts as lost: adaptive to the spread of its own heartbeats. Pure.

After Chen, Toueg, Aguilera, "On the quality of service of failure detectors" (2002), simplified: the
deadline is a multiple of the longest usual gap, within bounds, since a starved processor delays the
heartbeats of healthy nodes and a fixed deadline would put them out.
"""

from collections import deque
from dataclasses import dataclass, field

BEAT_SECONDS = 0.1
FLOOR_SECONDS = 0.5
CEILING_SECONDS = 1.0
"""A hung member must be out and the next step committed 1.5 s after its last word."""
GAPS_KEPT = 200
USUAL = 0.99
MARGIN = 5.0
HOLE_SECONDS = 4.0
"""So long what comes behind a lost packet speaks for the peer: the kernel hands nothing over before that has
been sent again, which takes two seconds and more where a round trip takes 0.4 and one in 25 is lost. Not for
ever: a packet that never gets through, being too large for the link, is one that we never hear."""


@dataclass
class Pulse:
    """One peer's heartbeats. Times in seconds of a monotonic clock."""

    heard: float
    """Its last word."""
    came: float = 0.0
    """The last packet of its that cannot be read yet."""
    gaps: deque[float] = field(default_factory=lambda: deque(maxlen=GAPS_KEPT))
    _deadline: float = CEILING_SECONDS

    def beat(self, now: float) -> None:
        """Anything came from it."""
        self.gaps.append(now - self.heard)
        self.heard = now
        if len(self.gaps) % 10 == 0:
            self._deadline = deadline(sorted(self.gaps))

    def excuse(self, now: float) -> None:
        """We were the ones who did not listen: what it said meanwhile is still to be read."""
        self.heard = max(self.heard, now)

    def stir(self, now: float) -> None:
        """Something came from it that is no word yet, as a packet before it is missing."""
        self.came = now

    def lost_at(self) -> float:
        """When it will count as lost, if it stays silent."""
        last = max(self.heard, min(self.came, self.heard + HOLE_SECONDS))
        return last + self._deadline


def deadline(gaps: list[float]) -> float:
    """Seconds of silence that are too many, from sorted gaps between words."""
    if not gaps:
        return CEILING_SECONDS
    usual = gaps[min(int(len(gaps) * USUAL), len(gaps) - 1)]
    return min(max(MARGIN * usual, FLOOR_SECONDS), CEILING_SECONDS)
