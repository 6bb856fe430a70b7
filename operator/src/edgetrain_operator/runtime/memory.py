"""What a reconciler remembers between reconciles. All of it may be lost at any moment."""

import time
from collections.abc import Mapping
from dataclasses import dataclass, field

from edgetrain_operator.core.model import Decision, Job, NodeView, Refusal

Key = tuple[str, str]
"""Namespace, name."""

REFUSED_SECONDS = 5.0
LONGEST_REFUSED_SECONDS = 300.0


@dataclass
class JobMemory:
    """Of one job."""

    job: Job
    decision: Decision | None = None
    """The last one that was carried out."""
    refusal: Refusal | None = None
    refusals: int = 0
    taken: frozenset[str] = frozenset()
    strangers: Mapping[str, NodeView] = field(default_factory=dict)
    """As last read."""
    strangers_read: float = field(default=float("-inf"))
    """Monotonic."""
    ca_bundle: str = ""
    """As last applied."""
    served: tuple[int, int] = (0, 0)
    """(lineage, revision) last given to the fleet API."""
    status_written: float = field(default=float("-inf"))
    """Monotonic."""

    def refuse(self, reason: str, message: str, now: float) -> None:
        delay = min(REFUSED_SECONDS * 2.0**self.refusals, LONGEST_REFUSED_SECONDS)
        self.refusal, self.refusals = Refusal(reason, message, now + delay), self.refusals + 1

    def accepted(self) -> None:
        self.refusal, self.refusals = None, 0

    @property
    def since_status(self) -> float:
        return time.monotonic() - self.status_written


class Memory:
    """Of all jobs, by key; a job made anew under its old name starts with nothing."""

    def __init__(self) -> None:
        self._jobs: dict[Key, JobMemory] = {}

    def of(self, key: Key, job: Job) -> JobMemory:
        held = self._jobs.get(key)
        if held is None or held.job.uid != job.uid:
            held = self._jobs[key] = JobMemory(job)
        held.job = job
        return held

    def known(self, key: Key) -> Job | None:
        held = self._jobs.get(key)
        return held.job if held else None

    def drop(self, key: Key) -> None:
        self._jobs.pop(key, None)

    def jobs(self) -> dict[Key, Job]:
        return {key: held.job for key, held in self._jobs.items()}

    def held(self) -> tuple[JobMemory, ...]:
        return tuple(self._jobs.values())

    def key_of(self, job_uid: str) -> Key | None:
        return next((key for key, held in self._jobs.items() if held.job.uid == job_uid), None)
