"""When a call for votes is given up, and when the next one may be made. Pure."""

from dataclasses import dataclass

from edgetrain.group.members import Formation
from edgetrain.group.rules import Outcome, Verdict
from edgetrain_protocol.backoff import doubled

CALL_SECONDS = 1.0
"""Who has not voted by then is left out of the next call."""
LONGEST_CALL_SECONDS = 8.0
"""Each call after one that not all answered gets twice as long: starved processors are never in time."""
RETRY_SECONDS = 0.3
"""After a call that failed for want of members: somebody else may have come."""


@dataclass
class Calls:
    """Of one supervisor, one after another."""

    due: float = 0.0
    """When the present one is given up."""
    retry_at: float = 0.0
    highest: int = 0
    """Highest number heard of in refusals."""
    _unanswered: int = 0
    """In a row."""
    _failed: int = 0
    """In a row."""

    @property
    def patience(self) -> float:
        """Seconds that a call waits for its votes."""
        return doubled(CALL_SECONDS, self._unanswered, LONGEST_CALL_SECONDS)

    def begin(self, now: float) -> None:
        self.due = now + self.patience

    def not_answered(self) -> None:
        self._unanswered += 1

    def established(self) -> None:
        self._unanswered = self._failed = 0

    def failed(self, formation: Formation, verdict: Verdict, now: float) -> None:
        self.highest = max(self.highest, formation.number, verdict.promised)
        self._failed += 1
        hopeless = verdict.outcome in (Outcome.OUTNUMBERED, Outcome.INCONSISTENT)
        # Others have a way out at once, by another number or without some; where it is none, not in a loop.
        if hopeless or self._failed > 2:
            self.retry_at = now + RETRY_SECONDS
