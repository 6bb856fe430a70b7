"""How long the lead waits for a group: as long as it usually takes, and three times what it is off by. Pure.

Seconds are of the lead's own clock. The mean and the mean deviation follow what comes as those of a
connection's round trip do (Jacobson, "Congestion avoidance and control", SIGCOMM 1988).
"""

from dataclasses import dataclass
from typing import Self

FIRST_SECONDS = 60.0
"""For groups of which nothing has come yet: the first steps may take long."""
LEAST_SECONDS = 0.5
"""Beyond its mean, however steady it is."""
DEVIATIONS = 3.0
_MEAN_GAIN, _DEVIATION_GAIN = 1 / 8, 1 / 4


@dataclass(frozen=True)
class Habit:
    """Of one group: seconds from when a round is opened until its update is whole."""

    mean: float = 0.0
    deviation: float = 0.0
    known: bool = False

    def seen(self, seconds: float) -> Self:
        """It took so long this time."""
        if not self.known:
            return type(self)(seconds, seconds / 2, known=True)
        off = seconds - self.mean
        deviation = self.deviation + _DEVIATION_GAIN * (abs(off) - self.deviation)
        return type(self)(self.mean + _MEAN_GAIN * off, deviation, known=True)

    @property
    def patience(self) -> float:
        """Seconds for which it is waited for, from when a round is opened."""
        if not self.known:
            return FIRST_SECONDS
        return self.mean + max(LEAST_SECONDS, DEVIATIONS * self.deviation)
