"""What a reconciler remembers between reconciles. All of it may be lost at any moment."""

import time
from collections.abc import Collection, Mapping
from dataclasses import dataclass, field, replace

from edgetrain_operator.core.actions import Decision
from edgetrain_operator.core.kueue.workload import Flavor
from edgetrain_operator.core.model import Job, NodeView, Refusal, Subject
from edgetrain_protocol.backoff import doubled

Key = tuple[str, str]
"""Namespace, name."""

REFUSED_SECONDS = 5.0
LONGEST_REFUSED_SECONDS = 60.0
"""What was mended shall be noticed within a minute, and asking costs one request."""


@dataclass
class JobMemory:
    """Of one job."""

    job: Job
    decision: Decision | None = None
    """The last one that was carried out."""
    refusals: dict[Subject, Refusal] = field(default_factory=dict)
    made: set[str] = field(default_factory=set)
    """Names of claims, Secrets and policies that were made, or were there."""
    lacking: set[str] = field(default_factory=set)
    """Names of those that were refused: not there, for certain."""
    conflicts: int = 0
    """Reconciles, one after another, in which somebody wrote first."""
    taken: frozenset[str] = frozenset()
    strangers: Mapping[str, NodeView] = field(default_factory=dict)
    """As last read."""
    strangers_read: float = field(default=float("-inf"))
    """Monotonic."""
    ca_bundle: str = ""
    """As last applied."""
    mounts_written: float = field(default=float("-inf"))
    """When the CA was, and identities that may have been missing; monotonic."""
    policy_made: float = field(default=float("-inf"))
    """When the NetworkPolicy was, or was found; monotonic."""
    may_have_queued: bool = True
    """Whether there may be a Workload of the job's."""
    flavors: Mapping[str, Flavor] = field(default_factory=dict)
    """Kueue's, by name, as last read."""
    flavors_read: float = field(default=float("-inf"))
    """Monotonic."""
    served: tuple[int, int] = (0, 0)
    """(lineage, revision) last given to the fleet API."""
    status_written: float = field(default=float("-inf"))
    """Monotonic."""

    def refuse(
        self, subject: Subject, reason: str, message: str, now: float, at_least: float | None = None
    ) -> None:
        """Remember a refusal, and how long to wait: longer each time, and no less than `at_least` seconds."""
        held = self.refusals.get(subject)
        times = held.times + 1 if held else 1
        delay = doubled(REFUSED_SECONDS, times - 1, LONGEST_REFUSED_SECONDS)
        self.refusals[subject] = Refusal(reason, message, now + max(delay, at_least or 0.0), times)

    def accept(self, subject: Subject) -> None:
        self.refusals.pop(subject, None)

    def forget_idle(self, wanted: Collection[Subject], now: float) -> None:
        """Drop what could have been tried again by now and is wanted no more."""
        idle = [s for s, refusal in self.refusals.items() if refusal.retry_at <= now and s not in wanted]
        for subject in idle:
            del self.refusals[subject]

    def try_all_again(self) -> None:
        self.refusals = {s: replace(refusal, retry_at=0.0, times=0) for s, refusal in self.refusals.items()}

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
        if held.job.generation != job.generation:
            held.try_all_again()  # Somebody may just have mended it.
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
