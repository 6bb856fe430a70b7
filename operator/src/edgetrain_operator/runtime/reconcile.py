"""One reconcile of one job: observe, decide, apply. Everything it does can be done again.

The order of applying is the point: the plan's ConfigMap is written before the plan is served and
before the pods are made whose attempts it names; status and events come last, and tell of what is.
They come also where something before them failed, and say so.
"""

import logging
import time
from collections.abc import Callable, Sequence
from dataclasses import replace

from pydantic import ValidationError

from edgetrain_operator.core import children
from edgetrain_operator.core.actions import Create, Decision, DeletePod, Written
from edgetrain_operator.core.decide import decide, status_unwritten
from edgetrain_operator.core.failure_limits import left_out
from edgetrain_operator.core.lifecycle import is_over
from edgetrain_operator.core.model import CA, IDENTITY, PLAN, Defaults, Job, Manifest, Observed, PodView
from edgetrain_operator.core.observe import job_view, own, pod_view, text_at
from edgetrain_operator.core.presets import with_preset
from edgetrain_operator.core.runtimes.in_force import with_runtime
from edgetrain_operator.core.runtimes.version import RuntimeVersion
from edgetrain_operator.core.status import status_due, transitions
from edgetrain_operator.core.stored import GroupRecord, StoredPlan, TooLarge
from edgetrain_operator.fleet_state import FleetState
from edgetrain_operator.kube.client import Kube
from edgetrain_operator.kube.errors import Conflict, KubeError
from edgetrain_operator.kube.resources import CONFIG_MAPS, JOBS, NODES, PODS
from edgetrain_operator.runtime.execute import Execution
from edgetrain_operator.runtime.limit_ranges import limits_memory
from edgetrain_operator.runtime.memory import JobMemory, Key, Memory
from edgetrain_operator.runtime.metrics import Metrics
from edgetrain_operator.runtime.mounts import ensure_mounts
from edgetrain_operator.runtime.network_policies import ensure_network_policy
from edgetrain_operator.runtime.node_table import NodeTable
from edgetrain_operator.runtime.plan_store import HeldPlan, read_plan
from edgetrain_operator.runtime.queues import Queues
from edgetrain_operator.runtime.recorder import record
from edgetrain_operator.runtime.runtime_table import RuntimeTable
from edgetrain_operator.runtime.status_writer import write_invalid, write_status
from edgetrain_operator.runtime.strangers import strangers
from edgetrain_operator.runtime.workloads import read_kueue
from edgetrain_protocol.names import MANAGED_BY, NODE_ANNOTATION

log = logging.getLogger(__name__)

Clock = Callable[[], float]

CONFLICTS_TOLD = 4
"""From so many of them one after another, without a write in between, the job's status tells of them."""
SET_BACK_SECONDS = 1.0
"""By less a clock is kept right; by more it was set back."""


class Reconciler:
    def __init__(
        self,
        kube: Kube,
        nodes: NodeTable,
        fleet: FleetState,
        defaults: Defaults,
        metrics: Metrics,
        clock: Clock = time.time,
    ) -> None:
        self._kube, self._nodes, self._fleet, self._metrics = kube, nodes, fleet, metrics
        self._defaults, self._clock = defaults, clock
        self._since = self._looked = clock()
        self.memory = Memory()
        self.runtimes = RuntimeTable()
        self.queues = Queues(defaults.shared_queues, clock)

    def begin(self) -> None:
        """To be called when this replica begins to lead: only from then on does it hear reports."""
        self._since = self._clock()

    def _now(self) -> float:
        """Where the clock was set back, it is as after a take-over: of what was heard before, nobody can say
        how long ago that was, and what waits for a moment would wait for it again."""
        now = self._clock()
        if now < self._looked - SET_BACK_SECONDS:
            self._since = now
            for memory in self.memory.held():
                memory.try_all_again()
        self._looked = now
        return now

    async def reconcile(self, key: Key) -> float | None:
        """Bring one job to where it should be. Returns in how many seconds to look again.

        Raises:
            KubeError: come again; Conflict: at once.
        """
        job = await self._job(key)
        if job is None:
            return None
        memory = self.memory.of(key, job)
        seen, held = await self._observe(job, memory)
        job = memory.job = seen.job
        seen = replace(seen, grant=self.queues.grant(seen))
        decision = await self._decide(seen)
        if is_over(decision.status):
            self.queues.release(key)
        doing = Execution(self._kube, self._fleet, job, memory, self._metrics, self._clock)
        written = await self._store(seen, decision, held, memory, doing)
        if written:
            await ensure_mounts(self._kube, seen, self._fleet.ca_bundle(), memory, doing)
            await ensure_network_policy(seen, memory, doing)
            await doing.run(decision.actions)
            memory.decision = decision
            wanted = {action.subject for action in decision.actions if isinstance(action, Written)}
            memory.forget_idle({CA, IDENTITY, *wanted}, seen.now)
        if not written or memory.refusals != seen.refusals:
            decision = self._retold(replace(seen, refusals=dict(memory.refusals)), decision, written)
        await self._tell(job, memory, decision, seen.now)
        return self._again(decision, memory, seen.now, doing.left)

    def _retold(self, seen: Observed, decision: Decision, written: bool) -> Decision:
        """The decision with a status that knows what was refused, and no plan that was not written."""
        status = decide(replace(seen, stored=decision.stored)).status if written else status_unwritten(seen)
        return replace(decision, status=status, status_events=transitions(seen.job.status, status))

    async def _job(self, key: Key) -> Job | None:
        """The job, or None where there is nothing to do for it (any more)."""
        raw = await self._kube.find(JOBS, key[1], key[0])
        before = self.memory.known(key)
        if before is not None and (raw is None or raw["metadata"]["uid"] != before.uid):
            self._fleet.forget(before.uid)
            self.memory.drop(key)
            self.queues.drop(key)
        found = await self._ours(raw) if raw is not None else None
        if found is None:
            self.queues.drop(key)
        return found

    async def _ours(self, raw: Manifest) -> Job | None:
        """Where it is to be looked after."""
        if text_at(raw, "spec", "managedBy") not in ("", MANAGED_BY):
            return None
        if "deletionTimestamp" in raw["metadata"]:
            self._fleet.forget(raw["metadata"]["uid"])
            return None
        try:
            return job_view(raw)
        except ValidationError as error:
            await write_invalid(self._kube, raw, error, self._clock())
            return None

    async def _observe(self, job: Job, memory: JobMemory) -> tuple[Observed, HeldPlan]:
        """Everything that a decision rests on, and the stored plan as it was read.

        In this order: a pod that reported before the reports were read is in a list made after.
        The ConfigMap before the pods: a record is never newer than the pods it is compared with.
        """
        reports, rates = self._fleet.reports(job.uid), self._fleet.rates(job.uid)
        heard, furthest = self._fleet.highest_revision(job.uid), self._fleet.furthest(job.uid)
        held = await read_plan(self._kube, job)
        selector = children.worker_selector(job.uid)
        pods = [raw async for raw in self._kube.list(PODS, job.namespace, selector)]
        views = tuple(pod_view(raw) for raw in own(pods, job.uid))
        job = with_preset(with_runtime(job, held.stored, bool(views), await self._runtime(job)))
        nodes, now = self._nodes.nodes, self._now()
        seen = Observed(
            job=job,
            now=now,
            since=self._since,
            defaults=self._defaults,
            nodes=nodes,
            pods=views,
            stored=held.stored,
            reports={w: said for w, said in reports.items() if said.received <= now + SET_BACK_SECONDS},
            rates=rates,
            reachable=self._fleet.reachable(job.uid),
            heard_revision=heard,
            furthest=furthest,
            refusals=dict(memory.refusals),
            program_missing=await self._program_missing(job, views),
            strangers=await strangers(self._kube, job, held.stored, nodes, memory),
            taken=memory.taken,
            kueue=await read_kueue(self._kube, job, memory, self._defaults.kueue),
        )
        return seen, held

    async def _runtime(self, job: Job) -> RuntimeVersion | None:
        ref = job.spec.runtime_ref
        return await self.runtimes.find(self._kube, ref.name) if ref else None

    async def _program_missing(self, job: Job, pods: Sequence[PodView]) -> str:
        """Pods without their ConfigMap wait for ever, and their status does not say for what."""
        source = job.spec.program.source
        if source is None or source.config_map is None or any(pod.phase != "Pending" for pod in pods):
            return ""
        name = source.config_map.name
        found = await self._kube.find(CONFIG_MAPS, name, job.namespace)
        if found is None:
            return (
                f"ConfigMap {name} is not in namespace {job.namespace}: make it, with the program in main.py"
            )
        if job.spec.program.command or "main.py" in {**found.get("data", {}), **found.get("binaryData", {})}:
            return ""
        return f"ConfigMap {name} has no key main.py: add it, or give program.command"

    async def _decide(self, seen: Observed) -> Decision:
        """Decide; where a pod is about to be made or deleted, read its node again and decide anew; for a
        new one with what its namespace says of memory."""
        decision = decide(seen)
        changed = [await self._read_node(name) for name in sorted(_concerned(seen, decision))]
        may_limit = seen.defaults.trainer_memory_percent > 0 and bool(_new_pods(decision))
        limited = may_limit and await limits_memory(self._kube, seen.job.namespace)
        if any(changed) or limited:
            defaults = replace(seen.defaults, trainer_memory_percent=0) if limited else seen.defaults
            decision = decide(replace(seen, nodes=self._nodes.nodes, defaults=defaults))
        return decision

    async def _read_node(self, name: str) -> bool:
        raw = await self._kube.find(NODES, name)
        return bool(self._nodes.put(raw) if raw else self._nodes.drop(name))

    async def _store(
        self, seen: Observed, decision: Decision, held: HeldPlan, memory: JobMemory, doing: Execution
    ) -> bool:
        """Write the plan over the version that was read, then serve it. False where it could not be
        written: all else that was decided rests on it.

        Raises:
            Conflict: decide anew; told on the job instead where that has not helped.
        """
        if decision.stored != seen.stored or held.damage:
            try:
                manifest = children.plan_config_map(seen.job, decision.stored, held.version)
                await (self._kube.replace if held.version else self._kube.create)(CONFIG_MAPS, manifest)
            except TooLarge as error:
                doing.refuse(PLAN, "PlanTooLarge", str(error))
                return False
            except KubeError as error:
                memory.conflicts += isinstance(error, Conflict)
                if isinstance(error, Conflict) and memory.conflicts < CONFLICTS_TOLD:
                    raise
                doing.failed(PLAN, "PlanRefused", "the plan's ConfigMap", error)
                return False
            self._count(seen.stored, decision.stored)
        memory.conflicts = 0
        memory.accept(PLAN)
        plan = decision.stored.plan
        if plan is not None and memory.served != (plan.lineage, plan.revision):
            self._fleet.publish(seen.job.uid, plan)
            memory.served = (plan.lineage, plan.revision)
        await record(self._kube, seen.job, (*held.mended(), *decision.events), seen.now)
        if seen.grant is not None:
            self.queues.told((seen.job.namespace, seen.job.name), seen.grant)
        return True

    def _count(self, before: StoredPlan, after: StoredPlan) -> None:
        old, new = before.plan, after.plan
        self._metrics.plans.inc(old != new)
        for name, group in after.groups.items():
            self._count_group(before.group(name), group)
        if old and new:
            known = {of.name: of.generation for of in old.groups}
            begun = [of.name for of in new.groups if of.generation > known.get(of.name, of.generation)]
            self._metrics.generations.inc(len(begun))
        out = left_out(after.workers) - left_out(before.workers)
        self._metrics.left_out.inc(len(out))

    def _count_group(self, before: GroupRecord, after: GroupRecord) -> None:
        steps = [stored.stall.steps if stored.stall else 0 for stored in (before, after)]
        self._metrics.stalls.inc(steps[1] > steps[0])
        leaders = [stored.office.worker if stored.office else "" for stored in (before, after)]
        self._metrics.elections.inc(bool(leaders[1]) and leaders[0] != leaders[1])

    async def _tell(self, job: Job, memory: JobMemory, decision: Decision, now: float) -> None:
        if not status_due(job.status, decision.status, memory.since_status):
            return
        await write_status(self._kube, job, decision.status)
        memory.status_written = time.monotonic()
        await record(self._kube, job, decision.status_events, now)

    def _again(self, decision: Decision, memory: JobMemory, now: float, left: bool) -> float | None:
        retries = [refusal.retry_at for refusal in memory.refusals.values() if refusal.retry_at > now]
        times = [decision.requeue_at, now if left else None, *retries]
        due = min((t for t in times if t is not None), default=None)
        return None if due is None else max(due - now, 0.05)


def _new_pods(decision: Decision) -> list[Manifest]:
    return [a.manifest for a in decision.actions if isinstance(a, Create) and a.kind == "Pod"]


def _concerned(seen: Observed, decision: Decision) -> set[str]:
    """Nodes to read again: about to get or lose a pod, or with a pod and not in the table."""
    names = {pod.name: pod.node for pod in seen.pods}
    losing = {names[a.name] for a in decision.actions if isinstance(a, DeletePod) and a.name in names}
    getting = {pod["metadata"]["annotations"][NODE_ANNOTATION] for pod in _new_pods(decision)}
    unknown = {pod.node for pod in seen.pods if pod.living and pod.node not in seen.nodes}
    return losing | getting | unknown
