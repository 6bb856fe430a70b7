"""Watch events and reports, each turned into a key on the queue and nothing more."""

import asyncio
import logging

from edgetrain_operator.core.kueue.workload import PRIORITY_LABEL, QUEUE_LABEL
from edgetrain_operator.core.model import NodeView
from edgetrain_operator.core.observe import Raw, controller_of, text_at
from edgetrain_operator.core.placement import matches
from edgetrain_operator.fleet_state import FleetState
from edgetrain_operator.kube.client import Kube
from edgetrain_operator.kube.errors import NotFound
from edgetrain_operator.kube.resources import JOBS, NODES, RUNTIMES
from edgetrain_operator.runtime.memory import Key
from edgetrain_operator.runtime.node_table import Change, NodeTable
from edgetrain_operator.runtime.queue import KeyedQueue
from edgetrain_operator.runtime.reconcile import Reconciler
from edgetrain_protocol.names import EDGE_NODE_LABEL, KIND

REPORTS_SECONDS = 0.05
"""Reports of one event come from all members at about the same time: one reconcile for them."""

log = logging.getLogger(__name__)


class Hints:
    def __init__(
        self,
        queue: KeyedQueue[Key],
        nodes: NodeTable,
        reconciler: Reconciler,
        fleet: FleetState,
        namespaces: tuple[str, ...],
    ) -> None:
        self._queue, self._nodes, self._reconciler, self._fleet = queue, nodes, reconciler, fleet
        self._namespaces = namespaces or (None,)
        self._seen: dict[str, tuple[object, ...]] = {}
        """Job's uid -> (generation, being deleted, how it queues): our own writes of status change none."""

    def listen(self) -> None:
        """Reconcile jobs whose workers reported something that matters. Call from the queue's loop."""
        loop = asyncio.get_running_loop()

        def heard(job_uid: str) -> None:
            loop.call_soon_threadsafe(self._reported, job_uid)

        self._fleet.on_change(heard)
        self._reconciler.queues.on_change(self._queue.add)

    def job(self, kind: str | None, raw: Raw) -> None:
        meta = raw["metadata"]
        queues = ((meta.get("labels") or {}).get(label) for label in (QUEUE_LABEL, PRIORITY_LABEL))
        now = (meta.get("generation", 0), "deletionTimestamp" in meta, *queues)
        if kind == "DELETED":
            self._seen.pop(meta["uid"], None)
            self._queue.add((meta["namespace"], meta["name"]))
        elif kind is None or self._seen.get(meta["uid"]) != now:
            self._seen[meta["uid"]] = now
            self._there(raw)

    def child(self, raw: Raw) -> None:
        """A pod of a job, or its Workload."""
        owner = controller_of(raw)
        if owner and owner["kind"] == KIND:
            self._queue.add((raw["metadata"]["namespace"], owner["name"]))

    def node(self, kind: str | None, raw: Raw) -> None:
        gone = kind == "DELETED"
        self._changed(self._nodes.drop(raw["metadata"]["name"]) if gone else self._nodes.put(raw))

    def runtime(self, kind: str | None, raw: Raw) -> None:
        """Reconcile the jobs that name it: they wait for it, or say that it has changed."""
        runtimes = self._reconciler.runtimes
        self._renewed(runtimes.drop(raw["metadata"]["name"]) if kind == "DELETED" else runtimes.put(raw))

    async def sweep(self, kube: Kube) -> None:
        """List everything afresh: for what the watches missed, deletions above all."""
        for change in self._nodes.sweep([raw async for raw in kube.list(NODES, None, EDGE_NODE_LABEL)]):
            self._changed(change)
        for name in self._reconciler.runtimes.sweep(await _runtimes(kube)):
            self._renewed(name)
        for namespace in self._namespaces:
            async for raw in kube.list(JOBS, namespace):
                self._there(raw)
        for key in self._reconciler.memory.jobs():
            self._queue.add(key)

    def _there(self, raw: Raw) -> None:
        key = (raw["metadata"]["namespace"], raw["metadata"]["name"])
        # Its workers may report, and its nodes be asked for, before the first reconcile has come to it.
        if "deletionTimestamp" not in raw["metadata"]:
            self._fleet.expect(raw["metadata"]["uid"])
            queue = text_at(raw, "spec", "scheduling", "queue")
            self._reconciler.queues.expect(key, queue or None)
        self._queue.add(key)

    def _changed(self, change: Change | None) -> None:
        """Reconcile the jobs that ask for this node, or did until now."""
        if change is None:
            return
        views: list[NodeView] = [view for view in change if view is not None]
        for key, job in self._reconciler.memory.jobs().items():
            if any(matches(view, job.spec) for view in views):
                self._queue.add(key)

    def _renewed(self, runtime: str | None) -> None:
        for key, job in self._reconciler.memory.jobs().items():
            if job.spec.runtime_ref is not None and job.spec.runtime_ref.name == runtime:
                self._queue.add(key)

    def _reported(self, job_uid: str) -> None:
        key = self._reconciler.memory.key_of(job_uid)
        if key is not None:
            self._queue.add(key, REPORTS_SECONDS)


async def _runtimes(kube: Kube) -> list[Raw]:
    """None, where their CRD is not installed: jobs go without."""
    try:
        return [raw async for raw in kube.list(RUNTIMES)]
    except NotFound:
        return []
