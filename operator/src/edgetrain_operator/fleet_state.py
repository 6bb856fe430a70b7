"""What the reconcile knows of the workers, and what it tells them: the seam to the fleet API.

Implemented by `edgetrain_operator.fleet`. All methods may be called from any thread and return at once.
"""

from collections.abc import Callable, Mapping
from dataclasses import dataclass
from typing import Protocol

from edgetrain_operator.core.job_plan import JobPlan
from edgetrain_protocol.history import History
from edgetrain_protocol.report import NodePart, Report, TrainingPart


@dataclass(frozen=True)
class StampedReport:
    """The newest of each part that a worker sent, with the operator's time (Unix, seconds) of receipt."""

    head: Report
    """The newest report as it came: pod, address, ports."""
    training: TrainingPart | None = None
    training_received: float | None = None
    measured: NodePart | None = None
    measured_received: float | None = None

    @property
    def received(self) -> float:
        """When the worker was last heard, by either part."""
        return max(self.training_received or 0.0, self.measured_received or 0.0)


@dataclass(frozen=True)
class NodeRate:
    """A node's measured bandwidth: the best of its pairs, smoothed, the slower direction of the two."""

    bits_per_second: float
    at: float
    """Operator's time of the newest probe in it."""
    peer: str
    """The worker at the other end of the best pair."""
    confirmed: bool = True
    """False while an alarm waits for the probe that confirms or refutes it."""


class FleetState(Protocol):
    def reports(self, job_uid: str) -> Mapping[str, StampedReport]:
        """By worker. Empty after a take-over: a missing report means unknown, not lost."""
        ...

    def rates(self, job_uid: str) -> Mapping[str, NodeRate]:
        """By worker; those without a probe yet are missing."""
        ...

    def reachable(self, job_uid: str) -> Mapping[str, bool]:
        """By worker: whether others reach it, as soon as anybody has tried to measure with it. They do not
        where two, or the only one, tried in vain since it was reached last."""
        ...

    def publish(self, job_uid: str, plan: JobPlan) -> None:
        """Serve this plan from now on, to those who wait for it at once. Only after its write succeeded."""
        ...

    def expect(self, job_uid: str) -> None:
        """The job is there: what its workers report is taken from now on."""
        ...

    def forget(self, job_uid: str) -> None:
        """The job is over or deleted: its reports are dropped, its pods are answered 410."""
        ...

    def highest_revision(self, job_uid: str) -> int:
        """The highest plan revision that any worker of the job said it holds; 0 where none was heard."""
        ...

    def furthest(self, job_uid: str) -> Mapping[str, tuple[History, int]]:
        """By group: the newest history and the furthest step in it that workers said to have come to."""
        ...

    def mark_over(self, pod_uid: str) -> None:
        """This pod's successor is planned, or it was deleted: it is answered 410 and ends."""
        ...

    def on_change(self, callback: Callable[[str], None]) -> None:
        """Call back with the job's uid when something was heard that a decision may rest on.

        From the fleet API's thread: the callback must hand over to its own loop and return.
        """
        ...

    def on_report(self, callback: Callable[[str, Report], None]) -> None:
        """Call back with the job's uid and each report that is taken, late ones too. As `on_change`."""
        ...

    def identity(self, job_uid: str, worker: str, pod_uid: str) -> dict[str, str]:
        """What a pod is known by, for its Secret: a token and a certificate of its own, by file
        (`edgetrain_protocol.identity`)."""
        ...

    def ca_bundle(self) -> str:
        """PEM of all CAs that workers shall trust, for the jobs' ConfigMaps; changes when a CA is rotated."""
        ...
