"""Actions, carried out one after another. Any of them may be the last: the next reconcile goes on."""

import logging
from collections.abc import Iterable

from edgetrain_operator.core.model import Action, Create, DeleteJob, DeletePod, Forget, Job, MarkOver
from edgetrain_operator.core.observe import own
from edgetrain_operator.fleet_state import FleetState
from edgetrain_operator.kube.client import Kube
from edgetrain_operator.kube.errors import AlreadyExists, Refused
from edgetrain_operator.kube.resources import BY_KIND, JOBS, PODS
from edgetrain_operator.runtime.memory import JobMemory
from edgetrain_operator.runtime.metrics import Metrics

log = logging.getLogger(__name__)


async def execute(
    kube: Kube,
    fleet: FleetState,
    job: Job,
    memory: JobMemory,
    actions: Iterable[Action],
    now: float,
    metrics: Metrics,
) -> None:
    """Raises:
    KubeError: the actions before it are done, the others are not.
    """
    for action in actions:
        log.info("%s/%s: %s: %s", job.namespace, job.name, type(action).__name__, action.reason)
        metrics.actions.labels(type(action).__name__).inc()
        match action:
            case Create(manifest):
                if not await _create(kube, job, memory, manifest, now):
                    return
            case DeletePod(name, uid):
                await kube.delete(PODS, name, job.namespace, uid)
            case MarkOver(pod_uid):
                fleet.mark_over(pod_uid)
            case Forget():
                fleet.forget(job.uid)
            case DeleteJob():
                await kube.delete(JOBS, job.name, job.namespace, job.uid)


async def _create(kube: Kube, job: Job, memory: JobMemory, manifest: dict[str, object], now: float) -> bool:
    """False where the API server refused: what would follow it needs it."""
    resource = BY_KIND[str(manifest["kind"])]
    try:
        await kube.create(resource, manifest)
    except AlreadyExists:
        if resource is PODS:
            await _claim_name(kube, job, memory, manifest)
    except Refused as error:
        memory.refuse("PodsRefused", f"{error}; mend the job or what refuses it, it is tried again", now)
        return False
    else:
        if resource is PODS:
            memory.accepted()
    return True


async def _claim_name(kube: Kube, job: Job, memory: JobMemory, manifest: dict[str, object]) -> None:
    """The pod is there: ours, made by an operator that died before it saw it, or somebody else's."""
    name = str(manifest["metadata"]["name"])  # type: ignore[index]
    found = await kube.find(PODS, name, job.namespace)
    if found and not own([found], job.uid):
        memory.taken |= {name}
