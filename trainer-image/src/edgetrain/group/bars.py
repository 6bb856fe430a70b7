"""Who is left out of calls for a while: put out by judgement, not by silence, or did not vote. Pure."""

from dataclasses import dataclass, field

from edgetrain_protocol.backoff import doubled

MUTE_SECONDS = 2.0
"""Who did not answer a call is left out of those that follow for so long."""
OUT_SECONDS = 10.0
LONGEST_OUT_SECONDS = 320.0
FORGET_SECONDS = 120.0
"""Who has been back for so long is given the shortest time again."""


@dataclass
class Bars:
    """Kept by each supervisor for itself: who leads judges by its own."""

    until: dict[str, float] = field(default_factory=dict)
    """Worker -> when it may come back."""
    mute: dict[str, float] = field(default_factory=dict)
    """Worker that did not answer a call -> when it is called again."""
    judged: frozenset[tuple[str, int]] = frozenset()
    """Worker and number of the formation in which that was said for which it was put out: once is enough."""
    _times: dict[str, int] = field(default_factory=dict)

    def did_not_vote(self, worker: str, now: float) -> None:
        """In time: it may be starved, or gone."""
        self.mute[worker] = now + MUTE_SECONDS

    def put_out(self, worker: str, formation: int, now: float) -> None:
        """Longer each time, unless the last time is long ago."""
        again = now < self.until.get(worker, float("-inf")) + FORGET_SECONDS
        times = self._times[worker] = self._times.get(worker, 0) + 1 if again else 1
        self.judged |= {(worker, formation)}
        seconds = doubled(OUT_SECONDS, times - 1, LONGEST_OUT_SECONDS)
        self.until[worker] = max(self.until.get(worker, 0.0), now + seconds)
