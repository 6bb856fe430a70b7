"""What is written into a job's Workload: asked for, begun, given back, finished.

Quota that Kueue takes back is given back when no pod is active any more. Until then the workers save: what
they need is theirs, and the queue gives it to nobody else.
"""

from collections.abc import Sequence
from typing import Any

from edgetrain_operator.core.actions import Action, Create, DeleteWorkload, PatchWorkload
from edgetrain_operator.core.kueue.hold import active, outlived, wants_quota, workers
from edgetrain_operator.core.kueue.workload import (
    ADMITTED,
    EVICTED,
    FINISHED,
    PODS_READY,
    PREEMPTED,
    QUOTA_RESERVED,
    REQUEUED,
    WORKERS,
    Raw,
    WorkloadView,
)
from edgetrain_operator.core.kueue.workload_manifest import priority_class, priority_of, wanted_spec, workload
from edgetrain_operator.core.lifecycle import end_of
from edgetrain_operator.core.model import SERVER, WORKLOAD, Manifest, Observed
from edgetrain_operator.core.observe import time_text, unix_time
from edgetrain_protocol.status import Condition, ConditionType, JobStatus

AGAIN_SECONDS = 30.0
"""Between looks for what the job refers to and the cluster has not: its coming makes no event."""
MESSAGE_MAX = 1000
_NODE_FAILURES = "NodeFailures"
_STARTED, _WAIT_FOR_START = "Started", "WaitForStart"

Conditions = Sequence[Raw]


def workload_actions(seen: Observed, status: JobStatus) -> tuple[Action, ...]:
    """At most one, so that each rests on what was seen. `status`: as it will be."""
    if not seen.kueue.enabled or seen.barred_until(SERVER, WORKLOAD):
        return ()
    work = seen.kueue.workload
    if work is None:
        found = _enter(seen, status)
    else:
        ended = end_of(status)
        found = _of_the_end(seen, work, ended) if ended else _of_the_job(seen, work, status)
    return (found,) if found else ()


def look_again_at(seen: Observed) -> float | None:
    return seen.now + AGAIN_SECONDS if seen.kueue.missing and wants_quota(seen) else None


def _enter(seen: Observed, status: JobStatus) -> Action | None:
    if not wants_quota(seen) or end_of(status) or seen.kueue.missing:
        return None
    return Create(workload(seen), f"to queue in {seen.job.queue}", WORKLOAD)


def _of_the_end(seen: Observed, work: WorkloadView, ended: Condition) -> Action | None:
    if work.holds(FINISHED):
        return None
    reason = "Succeeded" if ended.type == ConditionType.COMPLETE else "Failed"
    said = _with(seen, work, work.conditions, FINISHED, True, reason, ended.message)
    return _patch(work, {"conditions": said}, "the job is over")


def _of_the_job(seen: Observed, work: WorkloadView, status: JobStatus) -> Action | None:
    idle = not any(active(seen, pod) for pod in seen.pods)
    if not wants_quota(seen):
        unwanted = idle or not seen.job.queue
        return _delete(work, "the job asks for no quota") if unwanted else None
    if why := outlived(seen, work):
        return _delete(work, why) if idle and not work.deleting else None
    if not work.reserved:
        return _ask(seen, work)
    if work.holds(EVICTED):
        return _give_back(seen, work) if idle else None
    return _reclaim(seen, work) or _begun(seen, work, status)


def _ask(seen: Observed, work: WorkloadView) -> Action | None:
    """Kueue has not decided yet: what is asked for follows the job."""
    wanted, changes = wanted_spec(seen), dict[str, Any]()
    if not _says(work.spec, wanted):
        changes |= wanted
    if not seen.kueue.missing and work.priority_class != priority_class(seen.job):
        changes |= {"priorityClassRef": None, **priority_of(seen)}
    if not changes:
        return None
    return PatchWorkload(work.name, work.uid, work.version, changes, False, "the job asks for something else")


def _give_back(seen: Observed, work: WorkloadView) -> Action:
    evicted = work.condition(EVICTED)
    again = evicted["reason"] in (PREEMPTED, _NODE_FAILURES)
    said: Conditions = work.conditions
    for kind, holds, reason, words in (
        (REQUEUED, again, evicted["reason"], evicted["message"]),
        (QUOTA_RESERVED, False, "Pending", evicted["message"]),
        (ADMITTED, False, "NoReservation", "The workload has no reservation"),
        (PODS_READY, False, _WAIT_FOR_START, "no pod of the job runs"),
    ):
        said = _with(seen, work, said, kind, holds, reason, words)
    changes: Manifest = {"admission": None, "reclaimablePods": None, "conditions": said}
    admitted = work.condition(ADMITTED)
    if admitted.get("status") == "True":
        more = int(seen.now - unix_time(admitted.get("lastTransitionTime")))
        changes["accumulatedPastExecutionTimeSeconds"] = work.admitted_before + max(more, 0)
    return _patch(work, changes, "no pod is left of it, and all is saved that could be")


def _reclaim(seen: Observed, work: WorkloadView) -> Action | None:
    """nodes.max has been lowered: what is over is given back once those workers are gone. It is not had again
    without queueing."""
    if work.granted is None or seen.job.spec.nodes.max >= workers(work):
        return None
    if sum(active(seen, pod) for pod in seen.pods) > seen.job.spec.nodes.max:
        return None
    part = {"name": WORKERS, "count": work.granted - seen.job.spec.nodes.max}
    return _patch(work, {"reclaimablePods": [part]}, f"spec.nodes.max is {seen.job.spec.nodes.max}")


def _begun(seen: Observed, work: WorkloadView, status: JobStatus) -> Action | None:
    """Once it is, it stays so: a dark node is no reason to evict a job that trains on."""
    ready = work.holds(PODS_READY) or status.workers.ready >= seen.job.spec.nodes.min
    known = work.condition(PODS_READY)
    if not work.holds(ADMITTED) or known.get("status") == ("True" if ready else "False"):
        return None
    reason, words = (
        (_STARTED, "enough workers are ready") if ready else (_WAIT_FOR_START, "workers are starting")
    )
    said = _with(seen, work, work.conditions, PODS_READY, ready, reason, words)
    return _patch(work, {"conditions": said}, words)


def _patch(work: WorkloadView, changes: Manifest, reason: str) -> PatchWorkload:
    return PatchWorkload(work.name, work.uid, work.version, changes, True, reason)


def _delete(work: WorkloadView, reason: str) -> DeleteWorkload:
    return DeleteWorkload(work.name, work.uid, reason)


def _with(
    seen: Observed, work: WorkloadView, said: Conditions, kind: str, holds: bool, reason: str, words: str
) -> Conditions:
    """The conditions with this one. The whole list is written: a merge patch knows no other way."""
    status, before = "True" if holds else "False", work.condition(kind)
    since = before["lastTransitionTime"] if before.get("status") == status else time_text(seen.now)
    now = {
        "type": kind,
        "status": status,
        "reason": reason,
        "message": words[:MESSAGE_MAX],
        "lastTransitionTime": since,
        "observedGeneration": work.generation,
    }
    return [*(c for c in said if c["type"] != kind), now]


def _says(found: Any, wanted: Any) -> bool:
    """Whether all that is wanted is there; the API server may have added defaults."""
    if isinstance(wanted, dict):
        return isinstance(found, dict) and all(_says(found.get(k), v) for k, v in wanted.items())
    if isinstance(wanted, list):
        same = isinstance(found, list) and len(found) == len(wanted)
        return same and all(_says(*pair) for pair in zip(found, wanted, strict=True))
    return bool(found == wanted)
