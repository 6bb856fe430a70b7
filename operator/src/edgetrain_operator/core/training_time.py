"""For how long a job has trained, by its own status: what it waits, or is suspended, does not count."""

from collections.abc import Iterable

from edgetrain_operator.core.observe import unix_time
from edgetrain_protocol.status import Condition, ConditionType, JobStatus


def trained_seconds(status: JobStatus, now: float) -> float:
    """In all, up to now (Unix time, seconds)."""
    since = _since(status.conditions)
    return status.trained_seconds + (max(0.0, now - since) if since else 0.0)


def settled(before: JobStatus, conditions: Iterable[Condition], now: float) -> int:
    """What the next status keeps of it: as before, until training ceases. So no write is for it alone."""
    return before.trained_seconds if _since(conditions) else round(trained_seconds(before, now))


def _since(conditions: Iterable[Condition]) -> float:
    """0 where the job does not train."""
    said = (c for c in conditions if c.type == ConditionType.TRAINING and c.status == "True")
    return next((unix_time(c.last_transition_time) for c in said), 0.0)
