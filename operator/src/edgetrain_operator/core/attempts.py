"""Each node's worker through its pods: which attempt it is at, and when the next may be made.

An attempt rises only when its pod was seen ended or gone, so that no name is used twice. The record is
written before the pod is made: an operator that died in between makes the same pod, not another.
"""

from collections.abc import Mapping
from dataclasses import dataclass

from edgetrain_operator.core.model import Observed, PodView
from edgetrain_operator.core.naming import pod_name, worker_name
from edgetrain_operator.core.report_view import READY
from edgetrain_operator.core.stored import WorkerRecord
from edgetrain_operator.fleet_state import StampedReport
from edgetrain_protocol.backoff import doubled
from edgetrain_protocol.report import DISK_FAILED, VOTES_LOST, TrainerState

RETRY_SECONDS = 10.0
"""After the second pod that ended by itself; doubled for each further one. The first is replaced at once."""
LONGEST_RETRY_SECONDS = 300.0


@dataclass(frozen=True)
class Attempt:
    """What to do on a node that shall have a worker and has no living pod."""

    record: WorkerRecord
    create: bool
    superseded: tuple[PodView, ...] = ()
    """Ended pods that go when the next is made."""


def noted(seen: Observed) -> dict[str, WorkerRecord]:
    """The stored records, brought up to what pods and reports say. By worker."""
    records = dict(seen.stored.workers)
    for node in {pod.node for pod in seen.pods if pod.node}:
        newest = max(seen.pods_on(node), key=lambda pod: pod.attempt)
        worker = worker_name(node)
        records[worker] = _with_pod(records.get(worker), newest)
    return {w: _with_report(record, seen.reports.get(w)) for w, record in records.items()}


def next_attempt(seen: Observed, records: Mapping[str, WorkerRecord], node: str) -> Attempt:
    """Decide for one node."""
    pods = seen.pods_on(node)
    record = records.get(worker_name(node)) or WorkerRecord(node=node, attempt=first_attempt(seen))
    if pod_name(seen.job.name, seen.job.uid, node, record.attempt) in seen.taken:
        return Attempt(_raised(record), create=True)
    if any(pod.deleting and not pod.ended for pod in pods):
        return Attempt(record, create=False)
    if not record.pod_uid:
        return Attempt(record, create=True)
    if not record.retry_at:
        delay = _delay(record.ends)
        record = record.model_copy(update={"ends": record.ends + 1, "retry_at": seen.now + delay})
    if seen.now < record.retry_at:
        return Attempt(record, create=False)
    return Attempt(_raised(record), create=True, superseded=tuple(pod for pod in pods if pod.ended))


def first_attempt(seen: Observed) -> int:
    """Of a node without a record. Where the records were lost it may have had one, and its pod may still run
    there unseen: higher than any can be then, since no two are made in one second."""
    known = seen.stored.workers or seen.stored.first_attempt > 1 or not seen.job.status.plan.revision
    return seen.stored.first_attempt if known else int(seen.now)


def _with_pod(record: WorkerRecord | None, pod: PodView) -> WorkerRecord:
    if record is None or pod.attempt > record.attempt:
        # Newer than the record: the ConfigMap was lost or set back. The pods know better.
        record = _raised(record or WorkerRecord(node=pod.node, attempt=0), to=pod.attempt)
    if pod.attempt < record.attempt:
        return record
    return _with_crash(record.model_copy(update={"pod_uid": pod.uid}), pod)


def _with_crash(record: WorkerRecord, pod: PodView) -> WorkerRecord:
    """A restart for a failure counts one, however many restarts there were before it: power cuts were
    restarts too. What happened while nobody looked may so be missed, and nothing is counted that was not."""
    counted = max(record.pod_restart, record.pod_crashes)  # Once there was only the second.
    if pod.crashes <= counted:
        return record
    return record.model_copy(update={"pod_crashes": record.pod_crashes + 1, "pod_restart": pod.crashes})


def _with_report(record: WorkerRecord, stamped: StampedReport | None) -> WorkerRecord:
    if stamped is None or stamped.training is None or stamped.head.pod_uid != record.pod_uid:
        return record
    said = stamped.training
    if said.state in READY:
        return record.model_copy(update={"ends": 0})
    if said.error_reason in (DISK_FAILED, VOTES_LOST):
        return record  # No doing of the program's: the job's limit is for that.
    if said.state is TrainerState.FAILED and said.incarnation != record.failed_incarnation:
        count = record.failed_incarnations + 1
        return record.model_copy(
            update={"failed_incarnations": count, "failed_incarnation": said.incarnation}
        )
    return record


def _raised(record: WorkerRecord, to: int | None = None) -> WorkerRecord:
    return record.model_copy(
        update={
            "attempt": record.attempt + 1 if to is None else to,
            "pod_uid": "",
            "retry_at": 0.0,
            "crashes": record.crashes + record.pod_crashes,
            "pod_crashes": 0,
            "pod_restart": 0,
            "silent_since": 0.0,
            # It is the same process's coming and going that must not churn the plan.
            "left_at": 0.0,
        }
    )


def _delay(ends: int) -> float:
    return doubled(RETRY_SECONDS, ends - 1, LONGEST_RETRY_SECONDS) if ends else 0.0
