"""What the operator tells of jobs and workers as time series: the workers' own, and what only it knows."""

import statistics
from collections.abc import Iterable, Iterator, Mapping
from dataclasses import dataclass

from edgetrain_operator.core.job_plan import JobPlan
from edgetrain_operator.core.model import NodeView
from edgetrain_operator.fleet_state import NodeRate, StampedReport
from edgetrain_protocol.names import OWN_PHASES
from edgetrain_protocol.report import Report, TrainingPart
from edgetrain_protocol.series import Family, Row, job_labels, rows_of_report
from edgetrain_protocol.status import ConditionType, JobStatus

STALE_SECONDS = 60.0
"""What was not heard for so long is not told any more: Prometheus would take it for the present."""

HEARD = Family("edgetrain_worker_report_timestamp_seconds", "gauge", "Unix time of the newest report.")
AGGREGATOR = Family(
    "edgetrain_worker_aggregator", "gauge", "1 for the aggregator, 0 for other members of the plan."
)
BANDWIDTH = Family(
    "edgetrain_worker_bandwidth_bytes_per_second", "gauge", "Measured bandwidth of the worker's node."
)
STRAGGLER = Family(
    "edgetrain_worker_straggler_ratio",
    "gauge",
    "Own work in the last step over the median of the job's workers; 1 is as long as the others.",
)
CONDITION = Family("edgetrain_job_condition", "gauge", "1 where a condition of the job holds, else 0.")
WORKERS = Family("edgetrain_job_workers", "gauge", "Workers of the job by what they are.")
MIN_WORKERS = Family("edgetrain_job_min_workers", "gauge", "spec.nodes.min.")
PROGRESS = Family("edgetrain_job_progress_ratio", "gauge", "Part of the steps that the program means to do.")
SPEED = Family("edgetrain_job_samples_per_second", "gauge", "Speed over all workers.")
DURABLE = Family("edgetrain_job_durable_step", "gauge", "Newest step in a checkpoint held by two nodes.")
INTERVAL = Family(
    "edgetrain_job_checkpoint_interval_seconds", "gauge", "Seconds between checkpoints, as asked for."
)
REVISION = Family("edgetrain_job_plan_revision", "gauge", "Newest revision of the plan.")
LINEAGE = Family("edgetrain_job_lineage", "gauge", "Which history of the global model.")
GENERATION = Family("edgetrain_job_generation", "gauge", "Which history of the group.")
TERM = Family("edgetrain_job_term", "gauge", "Rises by one with each change of aggregator.")
NODE_READY = Family("edgetrain_node_ready", "gauge", "1 while Kubernetes calls the edge node Ready, else 0.")


@dataclass(frozen=True)
class JobSeen:
    """A job as its reconcile left it, and what its workers have said since."""

    namespace: str
    name: str
    min_workers: int
    checkpoint_every_seconds: float
    status: JobStatus
    plan: JobPlan | None
    reports: Mapping[str, StampedReport]
    """By worker."""
    rates: Mapping[str, NodeRate]

    @property
    def labels(self) -> dict[str, str]:
        return job_labels(self.namespace, self.name)

    def labels_of(self, held: StampedReport) -> dict[str, str]:
        return {**self.labels, "node": held.head.node}


def rows_of_job(job: JobSeen, now: float) -> Iterator[Row]:
    """Everything of a job at this moment (Unix time, seconds)."""
    yield from _job(job)
    fresh = {worker: held for worker, held in job.reports.items() if now - held.received <= STALE_SECONDS}
    for worker, held in job.reports.items():
        yield Row(HEARD, job.labels_of(held), held.received)
        if worker in fresh:
            yield from rows_of_report(_newest(held, now), job.labels_of(held))
    yield from _compared(job, fresh)


def rows_of_nodes(nodes: Iterable[NodeView]) -> Iterator[Row]:
    for node in nodes:
        yield Row(NODE_READY, {"node": node.name}, node.ready)


def straggler_ratios(parts: Mapping[str, TrainingPart]) -> dict[str, float]:
    """Each worker's own work in its last step over the median of all; those that did none are left out."""
    busy = {
        worker: seconds
        for worker, part in parts.items()
        if (seconds := sum(part.phase_seconds.get(phase, 0.0) for phase in OWN_PHASES)) > 0
    }
    middle = statistics.median(busy.values()) if busy else 0.0
    return {worker: seconds / middle for worker, seconds in busy.items()}


def _newest(held: StampedReport, now: float) -> Report:
    """The newest of both parts as one report, without one that has gone silent."""

    def still(at: float | None) -> bool:
        return at is not None and now - at <= STALE_SECONDS

    parts = {
        "training": held.training if still(held.training_received) else None,
        "measured": held.measured if still(held.measured_received) else None,
    }
    return held.head.model_copy(update=parts)


def _compared(job: JobSeen, fresh: Mapping[str, StampedReport]) -> Iterator[Row]:
    """What a worker is beside the others."""
    aggregators = job.plan.aggregators if job.plan else frozenset()
    members = {member.worker for member in job.plan.members} if job.plan else set()
    ratios = straggler_ratios({w: held.training for w, held in fresh.items() if held.training})
    for worker, held in fresh.items():
        mine = job.labels_of(held)
        if worker in members:
            yield Row(AGGREGATOR, mine, worker in aggregators)
        if rate := job.rates.get(worker):
            yield Row(BANDWIDTH, mine, rate.bits_per_second / 8)
        if worker in ratios:
            yield Row(STRAGGLER, mine, ratios[worker])


def _job(job: JobSeen) -> Iterator[Row]:
    mine, status = job.labels, job.status
    holding = {condition.type for condition in status.conditions if condition.status == "True"}
    for kind in ConditionType:
        yield Row(CONDITION, {**mine, "condition": kind}, kind in holding)
    for state in ("desired", "ready", "training", "paused"):
        yield Row(WORKERS, {**mine, "state": state}, getattr(status.workers, state))
    yield Row(MIN_WORKERS, mine, job.min_workers)
    yield Row(PROGRESS, mine, status.progress.percent / 100)
    yield Row(SPEED, mine, status.progress.samples_per_second)
    if status.progress.durable_step is not None:
        yield Row(DURABLE, mine, status.progress.durable_step)
    yield Row(INTERVAL, mine, job.checkpoint_every_seconds)
    if job.plan:
        yield Row(REVISION, mine, job.plan.revision)
        yield Row(LINEAGE, mine, job.plan.lineage)
    for of in job.plan.groups if job.plan else ():
        yield Row(GENERATION, {**mine, "group": of.name}, of.generation)
        yield Row(TERM, {**mine, "group": of.name}, of.group.term if of.group else 1)
