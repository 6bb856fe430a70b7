"""What Kueue's API holds of a job: read where the job queues, or did."""

import time
from collections.abc import Sequence

from edgetrain_operator.core.kueue.workload import (
    ADMITTED,
    Flavor,
    KueueView,
    WorkloadView,
    flavor_view,
    workload_name,
    workload_view,
)
from edgetrain_operator.core.kueue.workload_manifest import priority_class
from edgetrain_operator.core.model import Job
from edgetrain_operator.core.observe import own
from edgetrain_operator.kube.client import Kube
from edgetrain_operator.kube.resources import (
    FLAVORS,
    PRIORITY_CLASSES,
    WORKLOAD_PRIORITY_CLASSES,
    WORKLOADS,
)
from edgetrain_operator.runtime.memory import JobMemory

FLAVOR_SECONDS = 60.0
"""Between reads of the same flavors: pods that run are not moved by a change of theirs."""


async def read_kueue(kube: Kube, job: Job, memory: JobMemory, enabled: bool) -> KueueView:
    """Nothing is read for a job without a queue, unless it may have had one."""
    if not enabled or not (job.queue or memory.may_have_queued):
        return KueueView(enabled)
    work = await _workload(kube, job)
    memory.may_have_queued = work is not None
    if work is None:
        # It is not there for certain: that it is refused is to be said then.
        memory.made.discard(workload_name(job.name, job.uid))
    if not job.queue:
        return KueueView(enabled, work)
    if work is not None and work.holds(ADMITTED):
        flavors, missing = await _flavors(kube, work.flavors, memory)
        return KueueView(enabled, work, flavors, missing=missing)
    priority, missing = await _priority(kube, job, work)
    return KueueView(enabled, work, priority=priority, missing=missing)


async def _workload(kube: Kube, job: Job) -> WorkloadView | None:
    raw = await kube.find(WORKLOADS, workload_name(job.name, job.uid), job.namespace)
    return workload_view(raw) if raw and own([raw], job.uid) else None


async def _flavors(kube: Kube, names: Sequence[str], memory: JobMemory) -> tuple[tuple[Flavor, ...], str]:
    unknown = {*names} - memory.flavors.keys()
    if unknown or time.monotonic() - memory.flavors_read >= FLAVOR_SECONDS:
        found = {name: await kube.find(FLAVORS, name) for name in names}
        memory.flavors = {name: flavor_view(raw) for name, raw in found.items() if raw}
        memory.flavors_read = time.monotonic()
    lacking = [name for name in names if name not in memory.flavors]
    text = f"ResourceFlavor {lacking[0]}, of which the quota is, is not in this cluster" if lacking else ""
    return tuple(memory.flavors[name] for name in names if name in memory.flavors), text


async def _priority(kube: Kube, job: Job, work: WorkloadView | None) -> tuple[int, str]:
    """The value of the job's priority class, where it has to be said."""
    by = priority_class(job)
    if by is None or (work is not None and work.priority_class == by):
        return 0, ""
    resource = WORKLOAD_PRIORITY_CLASSES if by.kind == WORKLOAD_PRIORITY_CLASSES.kind else PRIORITY_CLASSES
    raw = await kube.find(resource, by.name)
    if raw is None:
        return 0, f"{by.kind} {by.name} is not in this cluster: make it, or name another"
    return int(raw["value"]), ""
