"""What Kueue's API holds of a job: its Workload, and what that refers to, as small frozen views."""

from collections.abc import Iterable, Mapping
from dataclasses import dataclass, field
from typing import Any

from edgetrain_operator.core.naming import child_name

GROUP = "kueue.x-k8s.io"
VERSION = "v1beta2"
API_VERSION = f"{GROUP}/{VERSION}"
QUEUE_LABEL = f"{GROUP}/queue-name"
PRIORITY_LABEL = f"{GROUP}/priority-class"
JOB_UID_LABEL = f"{GROUP}/job-uid"
WORKERS = "workers"
"""The Workload's only podSet."""
QUOTA_RESERVED, ADMITTED, EVICTED = "QuotaReserved", "Admitted", "Evicted"
FINISHED, PODS_READY, REQUEUED = "Finished", "PodsReady", "Requeued"
PREEMPTED, INADMISSIBLE = "Preempted", "Inadmissible"
"""Reasons that Kueue gives: of Evicted, and of QuotaReserved where it is False."""

Raw = Mapping[str, Any]
NOTHING: Raw = {}


@dataclass(frozen=True)
class PriorityClass:
    """By which a job is queued: one of Kueue's own, or of pods."""

    kind: str
    name: str

    @property
    def reference(self) -> dict[str, str]:
        return {"group": self.group, "kind": self.kind, "name": self.name}

    @property
    def group(self) -> str:
        return GROUP if self.kind == "WorkloadPriorityClass" else "scheduling.k8s.io"


@dataclass(frozen=True)
class Flavor:
    """Where the quota lies: labels that nodes must have, and taints of theirs that are tolerated; of a
    ResourceFlavor, or of an admission check's update."""

    node_labels: Mapping[str, str] = field(default_factory=dict, hash=False)
    tolerations: tuple[Raw, ...] = field(default=(), hash=False)
    labels: Mapping[str, str] = field(default_factory=dict, hash=False)
    annotations: Mapping[str, str] = field(default_factory=dict, hash=False)


@dataclass(frozen=True)
class WorkloadView:
    """The job's Workload."""

    name: str
    uid: str
    version: str
    """resourceVersion."""
    generation: int
    deleting: bool
    spec: Raw = field(hash=False)
    conditions: tuple[Raw, ...] = field(default=(), hash=False)
    granted: int | None = None
    """Workers for which quota is reserved; None where none is."""
    flavors: tuple[str, ...] = ()
    """Names of those that the quota is of."""
    checks: tuple[Raw, ...] = field(default=(), hash=False)
    given_back: int = 0
    """Workers of those whose quota was given back since."""
    admitted_before: int = 0
    """Seconds that it was admitted, before it was evicted last."""

    @property
    def queue(self) -> str:
        return str(self.spec.get("queueName", ""))

    @property
    def active(self) -> bool:
        return bool(self.spec.get("active", True))

    @property
    def reserved(self) -> bool:
        return self.holds(QUOTA_RESERVED)

    @property
    def priority_class(self) -> PriorityClass | None:
        found = self.spec.get("priorityClassRef")
        return PriorityClass(found["kind"], found["name"]) if found else None

    @property
    def updates(self) -> tuple[Flavor, ...]:
        """What admission checks ask of the pods."""
        return tuple(flavor_of_update(u) for c in self.checks for u in c.get("podSetUpdates") or ())

    def condition(self, kind: str) -> Raw:
        return next((c for c in self.conditions if c["type"] == kind), NOTHING)

    def holds(self, kind: str) -> bool:
        return self.condition(kind).get("status") == "True"


@dataclass(frozen=True)
class KueueView:
    """All that was seen of Kueue for one job."""

    enabled: bool = False
    """Whether the operator looks after queued jobs at all."""
    workload: WorkloadView | None = None
    flavors: tuple[Flavor, ...] = ()
    """Of its admission, as far as they are there."""
    priority: int = 0
    """What the job's priority class says, where it was read."""
    missing: str = ""
    """What the job or its admission refers to and the cluster has not."""


def workload_name(job_name: str, job_uid: str) -> str:
    return child_name(job_name, job_uid, "workload")


def workload_view(raw: Raw) -> WorkloadView:
    meta, status = raw["metadata"], raw.get("status") or {}
    assigned = (status.get("admission") or {}).get("podSetAssignments") or ()
    mine = next((a for a in assigned if a["name"] == WORKERS), NOTHING)
    return WorkloadView(
        name=meta["name"],
        uid=meta["uid"],
        version=meta["resourceVersion"],
        generation=meta.get("generation", 0),
        deleting="deletionTimestamp" in meta,
        spec=raw.get("spec") or {},
        conditions=tuple(status.get("conditions") or ()),
        granted=mine.get("count"),
        flavors=tuple(sorted(set((mine.get("flavors") or {}).values()))),
        checks=tuple(status.get("admissionChecks") or ()),
        given_back=_given_back(status.get("reclaimablePods") or ()),
        admitted_before=status.get("accumulatedPastExecutionTimeSeconds", 0),
    )


def _given_back(reclaimable: Iterable[Raw]) -> int:
    return sum(part["count"] for part in reclaimable if part["name"] == WORKERS)


def flavor_view(raw: Raw) -> Flavor:
    """Of a ResourceFlavor."""
    spec = raw.get("spec") or {}
    return Flavor(spec.get("nodeLabels") or {}, tuple(spec.get("tolerations") or ()))


def flavor_of_update(raw: Raw) -> Flavor:
    """Of an admission check's podSetUpdate."""
    return Flavor(
        raw.get("nodeSelector") or {},
        tuple(raw.get("tolerations") or ()),
        raw.get("labels") or {},
        raw.get("annotations") or {},
    )
