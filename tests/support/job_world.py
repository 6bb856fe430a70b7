"""What there is around an operator, on a real API server: nodes, kubelets, and workers and user of a job."""

import time
from collections.abc import Mapping
from typing import Any

from edgetrain_operator.core.children import WORKER
from edgetrain_operator.core.job_plan import JobPlan
from edgetrain_operator.core.naming import worker_name
from edgetrain_operator.kube.client import Kube, Object
from edgetrain_operator.kube.resources import CONFIG_MAPS, JOBS, NODES, PODS, SECRETS, Resource
from edgetrain_protocol.names import COMPONENT_LABEL, NODE_ANNOTATION
from edgetrain_protocol.plan import Phase
from edgetrain_protocol.report import Formation, TrainerState
from tests.support.objects import EDGE, job
from tests.support.scripted_fleet import ScriptedFleet

ACCOUNTS = Resource("ServiceAccount", "/api/v1", "serviceaccounts")
NAMESPACES = Resource("Namespace", "/api/v1", "namespaces")
NAME = "digits"


class JobWorld:
    """Its clock goes on only when it is told to."""

    def __init__(self, kube: Kube, namespace: str) -> None:
        self.kube, self.namespace, self.now = kube, namespace, time.time()
        self.plans: dict[str, list[JobPlan]] = {}
        """By job's uid; what was served, by whichever operator."""
        self.pods: dict[str, Object] = {}
        """By uid, all that were ever seen."""
        self.job_uid = ""
        self._said: dict[str, object] = {}
        self._formed: list[tuple[str, ...]] = []

    def fleet(self) -> ScriptedFleet:
        """Of an operator that begins: it has not heard anybody yet."""
        return ScriptedFleet(plans=self.plans, clock=lambda: self.now)

    async def begin(self, *nodes: str) -> None:
        """A namespace with a program, and these nodes alone."""
        place = {"namespace": self.namespace}
        await self.kube.create(NAMESPACES, {"metadata": {"name": self.namespace}})
        await self.kube.create(ACCOUNTS, {"metadata": {"name": "default", **place}})
        await self.kube.create(
            CONFIG_MAPS, {"metadata": {"name": "program", **place}, "data": {"main.py": ""}}
        )
        for raw in [raw async for raw in self.kube.list(NODES)]:
            await self._delete(NODES, raw)
        for node in nodes:
            await self.join(node)

    # What people and the cluster do

    async def join(self, node: str) -> None:
        named = {"metadata": {"name": node}}
        await self.kube.create(NODES, {"metadata": {"name": node, "labels": EDGE}})
        ready = {"type": "Ready", "status": "True", "lastTransitionTime": "2026-01-01T00:00:00Z"}
        status = {"conditions": [ready], "nodeInfo": {"kubeletVersion": "v1.36.3"}}
        await self.kube.patch(NODES, {**named, "status": status}, "status")
        await self.kube.patch(NODES, {**named, "spec": {"taints": None}})

    async def leave(self, node: str) -> None:
        """It is gone, and its pods with it."""
        await self._delete(NODES, await self.kube.get(NODES, node))
        for pod in await self._present():
            if pod["metadata"]["annotations"][NODE_ANNOTATION] == node:
                await self._delete(PODS, pod)

    async def submit(self) -> None:
        made = await self.kube.create(
            JOBS, job(self.namespace, NAME, storage={"checkpoint": {"claim": {"size": "1Gi"}}})
        )
        self.job_uid = made["metadata"]["uid"]

    async def suspend(self, suspend: bool) -> None:
        named = {"metadata": {"name": NAME, "namespace": self.namespace}}
        await self.kube.patch(JOBS, {**named, "spec": {"suspend": suspend}})

    async def withdraw(self) -> None:
        await self._delete(JOBS, await self.kube.get(JOBS, NAME, self.namespace))

    # What kubelets and workers do

    async def react(self, fleet: ScriptedFleet) -> bool:
        """All workers report, by the newest plan; whether anything has changed by that."""
        pods = await self._present()
        up = {p["metadata"]["annotations"][NODE_ANNOTATION]: p for p in pods if await self._starts(p)}
        changed = [await self._work(pod, up, fleet) for pod in up.values()]
        return any(changed)

    async def _present(self) -> list[Object]:
        found = [raw async for raw in self.kube.list(PODS, self.namespace, f"{COMPONENT_LABEL}={WORKER}")]
        self.pods |= {pod["metadata"]["uid"]: pod for pod in found}
        return found

    async def _starts(self, pod: Object) -> bool:
        """As a kubelet sees it: what it mounts has to be there."""
        if pod["status"].get("phase") in ("Succeeded", "Failed") or "deletionTimestamp" in pod["metadata"]:
            return False
        mounted = {volume["name"]: volume for volume in pod["spec"]["volumes"]}
        secret, ca = mounted["identity"]["secret"]["secretName"], mounted["ca"]["configMap"]["name"]
        return bool(
            await self.kube.find(SECRETS, secret, self.namespace)
            and await self.kube.find(CONFIG_MAPS, ca, self.namespace)
        )

    async def _work(self, pod: Object, up: Mapping[str, Object], fleet: ScriptedFleet) -> bool:
        uid, name = pod["metadata"]["uid"], worker_name(pod["metadata"]["annotations"][NODE_ANNOTATION])
        plan = next(reversed(self.plans.get(self.job_uid, [])), None)
        if plan and plan.phase is Phase.STOP and any(member.pod_uid == uid for member in plan.members):
            await self._phase(pod, "Succeeded")
            return True
        if pod["status"].get("phase") != "Running":
            await self._phase(pod, "Running")
        state, part = self._training(plan, name, up) if plan else (TrainerState.WAITING, {})
        fleet.say(pod, state, **part)
        before, self._said[uid] = self._said.get(uid), (state, part)
        return before != (state, part)

    def _training(
        self, plan: JobPlan, worker: str, up: Mapping[str, Object]
    ) -> tuple[TrainerState, dict[str, Any]]:
        uids = {pod["metadata"]["uid"] for pod in up.values()}
        here = tuple(member.worker for member in plan.members if member.pod_uid in uids)
        served = plan.slice_for(worker)
        held = {"revision_held": plan.revision, **served.history._asdict()}
        if worker not in here or served.phase is not Phase.TRAIN:
            return TrainerState.WAITING, held
        if not self._formed or self._formed[-1] != here:
            self._formed.append(here)
        number = len(self._formed)
        formation = Formation(
            **served.history._asdict(),
            revision=plan.revision,
            number=number,
            aggregator=next(w for w in served.groups[0].succession if w in here),
            members=here,
        )
        lost = tuple(member.worker for member in plan.members if member.worker not in here)
        said = {"formation": formation, "lost": lost, "step": 10 * number, "steps_per_second": 2.0}
        return TrainerState.TRAINING, {**held, **said}

    async def _phase(self, pod: Object, phase: str) -> None:
        ready = {"type": "Ready", "status": str(phase == "Running")}
        meta = {"name": pod["metadata"]["name"], "namespace": self.namespace}
        status = {"phase": phase, "conditions": [ready]}
        await self.kube.patch(PODS, {"metadata": meta, "status": status}, "status")

    async def _delete(self, resource: Resource, raw: Object) -> None:
        meta = raw["metadata"]
        await self.kube.delete(resource, meta["name"], meta.get("namespace", ""), meta["uid"])
