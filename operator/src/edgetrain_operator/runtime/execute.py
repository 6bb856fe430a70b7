"""Actions, carried out one after another. What one of them is refused holds up nothing that can do without.

Any of them may be the last: the next reconcile goes on.
"""

import logging
import time
from collections.abc import Callable, Iterable

from edgetrain_operator.core import children, refusals
from edgetrain_operator.core.actions import (
    Action,
    Create,
    DeleteJob,
    DeletePod,
    DeleteWorkload,
    Forget,
    MarkOver,
    PatchWorkload,
    Written,
)
from edgetrain_operator.core.model import (
    CA,
    IDENTITY,
    NETWORK_POLICY,
    SERVER,
    WORKLOAD,
    Job,
    PodView,
    Subject,
)
from edgetrain_operator.core.naming import identity_secret_name, worker_name
from edgetrain_operator.core.observe import own, pod_view
from edgetrain_operator.fleet_state import FleetState
from edgetrain_operator.kube.client import Kube
from edgetrain_operator.kube.errors import AlreadyExists, Conflict, KubeError, NotFound, Refused
from edgetrain_operator.kube.resources import BY_KIND, CLAIMS, JOBS, PODS, WORKLOADS
from edgetrain_operator.runtime.memory import JobMemory
from edgetrain_operator.runtime.metrics import Metrics

IN_VAIN_SECONDS = 2.0
"""What refusals may take of one reconcile: a webhook that hangs for each pod must not hold up the status."""

OF_THE_OBJECT = (Refused, NotFound, Conflict)
"""Answers about one object, which say nothing of another."""

log = logging.getLogger(__name__)


class Execution:
    """Of one decision's actions."""

    def __init__(
        self,
        kube: Kube,
        fleet: FleetState,
        job: Job,
        memory: JobMemory,
        metrics: Metrics,
        clock: Callable[[], float],
    ) -> None:
        self._kube, self._fleet, self._job, self._memory = kube, fleet, job, memory
        self._metrics, self._clock = metrics, clock
        self._in_vain = 0.0
        self._refused: set[Subject] = set()
        self.left = False
        """Whether actions wait for the next reconcile because these took too long."""

    async def run(self, actions: Iterable[Action]) -> None:
        """Carry out what can be; what is refused is in the memory afterwards."""
        for action in actions:
            match action:
                case MarkOver(pod_uid):
                    self._log(action)
                    self._fleet.mark_over(pod_uid)
                case Forget():
                    self._log(action)
                    self._fleet.forget(self._job.uid)
                case _:
                    if not self._hopeless(action):
                        await self._attempt(action)

    def _hopeless(self, action: Written) -> bool:
        """Whether it would fail for what has failed before it, or has to wait for its turn."""
        needs = {SERVER, IDENTITY, CA, action.subject} if isinstance(action, Create) else {SERVER}
        if needs & self._refused:
            return True
        self.left = self.left or self._in_vain > IN_VAIN_SECONDS
        return self.left

    async def _attempt(self, action: Written) -> None:
        self._log(action)
        began = time.monotonic()
        try:
            await self._write(action)
        except KubeError as error:
            if isinstance(error, Conflict) and isinstance(action, PatchWorkload):
                self.left = True  # Kueue has written since: it is decided anew.
                return
            self.failed(action.subject, *_named(action), error)
            self._in_vain += time.monotonic() - began

    async def _write(self, action: Written) -> None:
        match action:
            case Create():
                await self._create(action)
            case DeletePod(name, uid):
                await self._kube.delete(PODS, name, self._job.namespace, uid)
                self._memory.made.discard(identity_secret_name(name))  # Goes with its pod.
                self._memory.accept(action.subject)
            case DeleteJob():
                await self._kube.delete(JOBS, self._job.name, self._job.namespace, self._job.uid)
            case PatchWorkload():
                await self._patch(action)
            case DeleteWorkload(name, uid):
                await self._kube.delete(WORKLOADS, name, self._job.namespace, uid)
                self._memory.made.discard(name)
                self._memory.accept(action.subject)

    async def _patch(self, action: PatchWorkload) -> None:
        part, subresource = ("status", "status") if action.of_status else ("spec", "")
        metadata = {
            "name": action.name,
            "namespace": self._job.namespace,
            "uid": action.uid,
            "resourceVersion": action.version,
        }
        await self._kube.patch(WORKLOADS, {"metadata": metadata, part: action.changes}, subresource)
        self._memory.accept(action.subject)

    async def _create(self, action: Create) -> None:
        resource, name = BY_KIND[action.kind], str(action.manifest["metadata"]["name"])
        made = None
        try:
            made = await self._kube.create(resource, action.manifest)
        except AlreadyExists:
            if resource is PODS:
                await self._claim_name(name)
        except Refused as error:
            if name in self._memory.lacking or not (action.again or name in self._memory.made):
                self._memory.lacking.add(name)
                raise
            log.info("%s is taken to be there: %s", name, error)
        if resource is not PODS:
            self._memory.made.add(name)
            self._memory.lacking.discard(name)
        elif made:
            # At once: a kubelet that looks for it in vain waits half a second before it looks again.
            await self.run([self.identity(pod_view(made), again=False)])
        if resource is not CLAIMS:  # The node's pod comes after its claims.
            self._memory.accept(action.subject)

    def identity(self, pod: PodView, *, again: bool) -> Create:
        """The Secret that this pod is known by."""
        files = self._fleet.identity(self._job.uid, worker_name(pod.node), pod.uid)
        manifest = children.identity_secret(self._job, pod.name, pod.uid, pod.node, files)
        return Create(manifest, f"for pod {pod.name}", IDENTITY, again=again)

    async def _claim_name(self, name: str) -> None:
        """The pod is there: ours, made by an operator that died before it saw it, or somebody else's."""
        found = await self._kube.find(PODS, name, self._job.namespace)
        if found and not own([found], self._job.uid):
            self._memory.taken |= {name}

    def failed(self, subject: Subject, reason: str, what: str, error: KubeError) -> None:
        """Remember that `what` was not had: for a fault of its own, or for a trouble of the API server."""
        if isinstance(error, OF_THE_OBJECT):
            self.refuse(subject, reason, refusals.told(what, error.said), error.retry_after)
        else:
            text = (
                f"the API server does not take {what}: {error.said[: refusals.SAID_MAX]}; it is tried again"
            )
            self.refuse(SERVER, "ApiServerUnavailable", text, error.retry_after)

    def refuse(self, subject: Subject, reason: str, message: str, retry_after: float | None = None) -> None:
        log.warning("%s/%s: %s: %s", self._job.namespace, self._job.name, reason, message)
        self._metrics.refusals.labels(reason).inc()
        self._refused.add(subject)
        self._memory.refuse(subject, reason, message, self._clock(), retry_after)

    def _log(self, action: Action) -> None:
        log.info("%s/%s: %s: %s", self._job.namespace, self._job.name, type(action).__name__, action.reason)
        self._metrics.actions.labels(type(action).__name__).inc()


def _named(action: Written) -> tuple[str, str]:
    """The reason for the status where it is refused, and what is."""
    match action:
        case Create(subject=subject):
            return _REFUSALS.get(subject, "PodsRefused"), f"its {action.kind}"
        case DeletePod(name):
            return "DeletionRefused", f"deleting pod {name}"
        case DeleteJob():
            return "DeletionRefused", "deleting the job"
        case PatchWorkload(name) | DeleteWorkload(name):
            return _REFUSALS[WORKLOAD], f"a change of its Workload {name}"


_REFUSALS = {NETWORK_POLICY: "NetworkPolicyRefused", WORKLOAD: "WorkloadRefused"}
