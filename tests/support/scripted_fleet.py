"""A FleetState in which a test says what the workers reported."""

import time
from collections.abc import Callable, Mapping
from dataclasses import dataclass, field
from typing import Any

from edgetrain_operator.core.job_plan import JobPlan
from edgetrain_operator.core.naming import worker_name
from edgetrain_operator.fleet_state import NodeRate, StampedReport
from edgetrain_protocol.history import History
from edgetrain_protocol.report import Report, TrainerState, TrainingPart


@dataclass
class ScriptedFleet:
    said: dict[str, dict[str, StampedReport]] = field(default_factory=dict)
    """By job's uid, then by worker."""
    plans: dict[str, list[JobPlan]] = field(default_factory=dict)
    """What was served, in order."""
    over: set[str] = field(default_factory=set)
    forgotten: set[str] = field(default_factory=set)
    callbacks: list[Callable[[str], None]] = field(default_factory=list)
    key: str = "key"
    """That makes the tokens; no certificates are made here."""
    reached: dict[str, bool] = field(default_factory=dict)
    """By worker."""
    bundle: str = "-----BEGIN CERTIFICATE-----"
    clock: Callable[[], float] = time.time

    def reports(self, job_uid: str) -> Mapping[str, StampedReport]:
        return dict(self.said.get(job_uid, {}))

    def rates(self, job_uid: str) -> Mapping[str, NodeRate]:
        return {}

    def reachable(self, job_uid: str) -> Mapping[str, bool]:
        return self.reached

    def publish(self, job_uid: str, plan: JobPlan) -> None:
        self.plans.setdefault(job_uid, []).append(plan)

    def expect(self, job_uid: str) -> None:
        """All jobs are."""

    def forget(self, job_uid: str) -> None:
        self.forgotten.add(job_uid)
        self.said.pop(job_uid, None)

    def highest_revision(self, job_uid: str) -> int:
        parts = [s.training for s in self.reports(job_uid).values() if s.training]
        return max((part.revision_held for part in parts), default=0)

    def furthest(self, job_uid: str) -> dict[str, tuple[History, int]]:
        parts = [s.training for s in self.reports(job_uid).values() if s.training]
        said = sorted((part.history, part.step) for part in parts)
        return {history.group: (history, step) for history, step in said}

    def mark_over(self, pod_uid: str) -> None:
        self.over.add(pod_uid)

    def on_change(self, callback: Callable[[str], None]) -> None:
        self.callbacks.append(callback)

    def on_report(self, callback: Callable[[str, Report], None]) -> None:
        """Nothing that is said here is late."""

    def identity(self, job_uid: str, worker: str, pod_uid: str) -> dict[str, str]:
        return {"token": f"{self.key}.token-of-{job_uid}-{worker}-{pod_uid}"}

    def ca_bundle(self) -> str:
        return self.bundle

    # What workers do

    def say(self, pod: dict[str, Any], state: TrainerState = TrainerState.WAITING, **training: Any) -> None:
        """The worker in this pod reports now."""
        meta = pod["metadata"]
        node = meta["annotations"]["edgetrain.io/node"]
        job_uid = meta["labels"]["edgetrain.io/job-uid"]
        usual = {"state": state, "incarnation": f"{meta['uid']}-1", "log_disk": meta["uid"], "lineage": 1}
        part = usual | training
        head = Report(
            worker=worker_name(node),
            node=node,
            pod=meta["name"],
            pod_uid=meta["uid"],
            address="10.0.0.1",
            control_port=7070,
            state_port=7074,
            probe_port=7073,
            sequence=1,
            at=self.clock(),
        )
        stamped = StampedReport(head, TrainingPart.model_validate(part), self.clock())
        self.said.setdefault(job_uid, {})[head.worker] = stamped
        for callback in self.callbacks:
            callback(job_uid)
