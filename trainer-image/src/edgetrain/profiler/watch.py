"""What the exchanges themselves say of the link, between two probes.

A member's rate in an exchange may be set by another's link, so it is no measure. Its change is a
hint: where a group exchanges at half or twice the pace it had, some link has changed, and one probe
each tells whose. Pure; fed with what the interface carried.
"""

import statistics
from collections import deque
from dataclasses import dataclass, field

CHANGE = 2.0
WINDOW_SECONDS = 4.0
"""Long enough to hold whole exchanges over a slow link."""
LEARN_SECONDS = 8.0
"""After a probe, until the pace of that time counts as the usual one."""
LAST_SECONDS = 1.5
"""A change shorter than this is a hiccup."""
QUIET_BYTES_PER_SECOND = 16 << 10
"""Below it there is no exchange to speak of: heartbeats and polls."""


@dataclass
class Watch:
    """Raises an alarm when exchanges change their pace; a probe lays it to rest. Times of one clock."""

    since: float
    """When the link was last probed, or the watch began."""
    samples: deque[tuple[float, float]] = field(default_factory=deque)
    usual: list[float] = field(default_factory=list)
    odd_since: float | None = None
    alarm: bool = False

    def probed(self, now: float) -> None:
        """A probe has told the link's rate: learn anew what pace belongs to it."""
        self.since, self.odd_since, self.alarm = now, None, False
        self.usual.clear()
        self.samples.clear()

    def saw(self, now: float, bytes_per_second: float, exchanging: bool) -> None:
        """Take in the interface's rate over the last interval; `exchanging`: the trainer then exchanges."""
        if not exchanging or bytes_per_second < QUIET_BYTES_PER_SECOND:
            return
        self.samples.append((now, bytes_per_second))
        while self.samples[0][0] < now - WINDOW_SECONDS:
            self.samples.popleft()
        self._judge(now, self._pace())

    def _pace(self) -> float:
        """The upper quartile: intervals that an exchange did not fill drag the mean down, not this."""
        ordered = sorted(rate for _, rate in self.samples)
        return ordered[(len(ordered) * 3) // 4]

    def _judge(self, now: float, pace: float) -> None:
        if now - self.since < LEARN_SECONDS or len(self.usual) < 8:
            self.usual.append(pace)
            return
        usual = statistics.median(self.usual)
        if usual / CHANGE < pace < usual * CHANGE:
            self.odd_since = None
        elif self.odd_since is None:
            self.odd_since = now
        elif now - self.odd_since >= LAST_SECONDS:
            self.alarm = True
