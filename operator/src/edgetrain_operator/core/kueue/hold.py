"""Whether a job that queues for quota may run, and why not: what its Workload says, in the job's words.

Kueue gives quota to a Workload and takes it back; whoever made the Workload starts the job, stops it and says
when that is done. spec.suspend stays what a person says: it is neither read as Kueue's word nor written.
"""

from dataclasses import dataclass, replace

from edgetrain_operator.core.kueue.workload import (
    ADMITTED,
    EVICTED,
    FINISHED,
    INADMISSIBLE,
    PREEMPTED,
    QUEUE_LABEL,
    QUOTA_RESERVED,
    Flavor,
    KueueView,
    WorkloadView,
)
from edgetrain_operator.core.model import WORKLOAD, Observed, PodView
from edgetrain_operator.core.resuming import told_if_from_the_beginning
from edgetrain_protocol.job import JobSpec

QUEUED = "Queued"
SAID_MAX = 500


@dataclass(frozen=True)
class Hold:
    """Why the queue lets no worker train."""

    reason: str
    message: str


def hold(seen: Observed) -> Hold | None:
    """None where the job may run: it does not queue, or has its quota."""
    queue, view = seen.job.queue, seen.kueue
    if not wants_quota(seen):
        return None
    if not view.enabled:
        text = f"label {QUEUE_LABEL} names queue {queue}, and kueue.enabled of the edgetrain chart is false"
        return Hold("KueueNotEnabled", f"{text}: set it, or remove the label")
    work = view.workload
    if work is None:
        return _refused(seen) or _missing(view) or Hold(QUEUED, f"on its way into queue {queue}")
    return _taken(seen, work) or _not_given(seen, work)


def wants_quota(seen: Observed) -> bool:
    """Whether the job is one that queues, and asks for any worker. One that its runtime lets have none does
    not, unless it has begun."""
    spec, use = seen.job.spec, seen.job.runtime
    begun = bool(seen.pods) or use is None or not use.reason
    return bool(seen.job.queue) and not spec.suspend and spec.nodes.max > 0 and begun


def _taken(seen: Observed, work: WorkloadView) -> Hold | None:
    """What it had, or had to be given, is not its any more."""
    if why := outlived(seen, work):
        return Hold("QueuedAnew", why)
    if work.reserved and work.holds(EVICTED):
        evicted = work.condition(EVICTED)
        reason = PREEMPTED if evicted["reason"] == PREEMPTED else EVICTED
        text = f"its quota in queue {work.queue} is taken back ({evicted['reason']}): {evicted['message']}"
        return Hold(reason, text[:SAID_MAX] + told_if_from_the_beginning(seen.job.spec))
    return None


def outlived(seen: Observed, work: WorkloadView) -> str:
    """Why another Workload takes the place of this one, as soon as no pod runs; empty where none does."""
    if work.deleting:
        return f"its Workload {work.name} is being deleted"
    if work.holds(FINISHED):
        return f"its Workload {work.name} says that it is finished, and the job is not"
    if not work.reserved:
        return ""
    if work.queue != seen.job.queue:
        return f"it has changed from queue {work.queue} to {seen.job.queue}"
    least = seen.job.spec.nodes.min
    if work.granted is not None and workers(work) < least:
        return (
            f"queue {work.queue} has given quota for {workers(work)} workers, and spec.nodes.min is {least}"
        )
    return ""


def _not_given(seen: Observed, work: WorkloadView) -> Hold | None:
    if not work.active:
        return Hold(
            "Deactivated", f"spec.active of Workload {work.name} is false: set it to true to queue again"
        )
    if work.holds(ADMITTED):
        return Hold("FlavorMissing", seen.kueue.missing) if seen.kueue.missing else None
    if work.reserved:
        waits = [
            f"{c['name']}: {c.get('message') or c['state']}" for c in work.checks if c["state"] != "Ready"
        ]
        return Hold("AdmissionChecks", f"quota is reserved; it waits for {'; '.join(waits)}"[:SAID_MAX])
    if unheard := _refused(seen) or _missing(seen.kueue):
        return unheard
    pending = work.condition(QUOTA_RESERVED)
    reason = INADMISSIBLE if pending.get("reason") == INADMISSIBLE else QUEUED
    words = pending.get("message") or "Kueue has not looked at it yet"
    return Hold(reason, f"it waits in queue {work.queue}: {words}"[:SAID_MAX])


def _refused(seen: Observed) -> Hold | None:
    refused = seen.refusals.get(WORKLOAD)
    return Hold(refused.reason, refused.message) if refused else None


def _missing(view: KueueView) -> Hold | None:
    return Hold("PriorityClassMissing", view.missing) if view.missing else None


def workers(work: WorkloadView) -> int:
    """For how many it has quota."""
    return (work.granted or 0) - work.given_back


def active(seen: Observed, pod: PodView) -> bool:
    """Whether the pod holds anything that another could use. What a dark node holds, nobody else could."""
    node = seen.nodes.get(pod.node)
    return not pod.ended and (not pod.deleting or (node is not None and node.ready))


def within_quota(seen: Observed) -> Observed:
    """The same, with a job that asks for no more than its queue has given, and where it was given."""
    work = _admitted(seen)
    if work is None:
        return seen
    spec = seen.job.spec
    for flavor in (*seen.kueue.flavors, *work.updates):
        spec = _in_flavor(spec, flavor)
    most = spec.nodes.model_copy(update={"max": min(spec.nodes.max, workers(work))})
    return replace(seen, job=replace(seen.job, spec=spec.model_copy(update={"nodes": most})))


def no_more(seen: Observed) -> str:
    """Why there are no more workers than the quota is for; empty where the job asks for no more."""
    work = _admitted(seen)
    if work is None or seen.job.spec.nodes.max <= workers(work):
        return ""
    return f"queue {work.queue} has given quota for {workers(work)} workers"


def _admitted(seen: Observed) -> WorkloadView | None:
    """The Workload of a job that queues, where it is."""
    work = seen.kueue.workload
    return work if work is not None and wants_quota(seen) and work.holds(ADMITTED) else None


def _in_flavor(spec: JobSpec, flavor: Flavor) -> JobSpec:
    """The job on nodes of the flavor alone, with pods that its taints let in."""
    nodes, template = spec.nodes, spec.template
    matching = {**nodes.selector.match_labels, **flavor.node_labels}
    selector = nodes.selector.model_copy(update={"match_labels": matching})
    pods = {"tolerations": [*template.spec.tolerations, *map(dict, flavor.tolerations)]}
    meta = {
        "labels": {**template.metadata.labels, **flavor.labels},
        "annotations": {**template.metadata.annotations, **flavor.annotations},
    }
    changed = {
        "spec": template.spec.model_copy(update=pods),
        "metadata": template.metadata.model_copy(update=meta),
    }
    return spec.model_copy(
        update={
            "nodes": nodes.model_copy(update={"selector": selector}),
            "template": template.model_copy(update=changed),
        }
    )
