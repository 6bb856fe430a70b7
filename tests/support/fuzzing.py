"""One job whose documents are nearly right, looked after by the operator as it runs: from the API server's
objects and the bodies of reports to writes, turn by turn, with what nodes and workers do in between.

A case is its seed's alone. What it finds are faults: an exception that gets out, a turn that does not come to
rest, a promise that is broken.
"""

import asyncio
import contextlib
import json
import random
import traceback
from collections.abc import Callable, Iterator, Mapping
from dataclasses import dataclass, field
from typing import Any

from prometheus_client import CollectorRegistry
from pydantic import ValidationError

from edgetrain_operator.core.job_plan import JobPlan
from edgetrain_operator.core.lifecycle import End
from edgetrain_operator.core.naming import worker_name
from edgetrain_operator.core.observe import job_view, own, pod_view, text_at
from edgetrain_operator.core.stored import DOCUMENT_KEY, StoredPlan
from edgetrain_operator.fleet import views
from edgetrain_operator.fleet.fleet import Fleet, Over
from edgetrain_operator.fleet.keyring import Keyring
from edgetrain_operator.fleet.reading import read_reports
from edgetrain_operator.fleet.store import InvalidReport, Sender
from edgetrain_operator.fleet.wire import Problem
from edgetrain_operator.fleet_state import NodeRate
from edgetrain_operator.kube.errors import NotFound
from edgetrain_operator.kube.resources import CONFIG_MAPS, JOBS
from edgetrain_operator.runtime.hints import Hints
from edgetrain_operator.runtime.memory import Key
from edgetrain_operator.runtime.metrics import Metrics
from edgetrain_operator.runtime.node_table import NodeTable
from edgetrain_operator.runtime.queue import KeyedQueue
from edgetrain_operator.runtime.reconcile import Reconciler
from edgetrain_operator.runtime.relay import Relay
from edgetrain_protocol.job import JobSpec
from edgetrain_protocol.names import ATTEMPT_LABEL, MANAGED_BY, NODE_ANNOTATION, RUNTIME_PLURAL
from edgetrain_protocol.plan import Phase, Plan
from edgetrain_protocol.report import ProbeOrder, Report
from edgetrain_protocol.runtime import RuntimeSpec
from edgetrain_protocol.status import JobStatus
from tests.support.api_in_memory import KubeInMemory
from tests.support.fuzz_scenes import SCENES, Raw, Scene, scene
from tests.support.fuzz_world import (
    first_report,
    following,
    is_ready,
    kubelets_act,
    measuring,
    node_of,
    repeated,
    running,
    something_happens,
    uid_of,
)
from tests.support.mutations import WORDS, Mutations, as_stored, copied, mutated

TURNS = 6
LOOKS = 12
"""Within which a turn has come to rest."""
PASSING = (0.0, 1.0, 6.0, 20.0, 700.0)
"""Seconds between turns."""
LONGEST_TEXT = 2000

SCHEMAS: Mapping[str, Raw] = {
    "spec": JobSpec.model_json_schema(),
    "status": JobStatus.model_json_schema(),
    "plan": StoredPlan.model_json_schema(),
    "report": Report.model_json_schema(),
    "runtime": RuntimeSpec.model_json_schema(),
}


@dataclass(frozen=True)
class Fault:
    kind: str
    """crash, unsettled or promise."""
    text: str


@dataclass
class Outcome:
    seed: int
    scene: str
    changed: tuple[str, ...]
    """Which documents were put wrong."""
    refused: set[str] = field(default_factory=set)
    """What was refused, each with a reason."""
    faults: list[Fault] = field(default_factory=list)


class HeardFleet(Fleet):
    """The operator's own, without certificates; some probes are made, and some were before."""

    def __init__(self, scene_: Scene, clock: Callable[[], float]) -> None:
        super().__init__(Keyring((), ()), clock)
        self._known = scene_

    def rates(self, job_uid: str) -> Mapping[str, NodeRate]:
        return {**self._known.rates, **super().rates(job_uid)}

    def reachable(self, job_uid: str) -> Mapping[str, bool]:
        return {**self._known.reachable, **super().reachable(job_uid)}

    def identity(self, job_uid: str, worker: str, pod_uid: str) -> dict[str, str]:
        return {"token": pod_uid}

    def ca_bundle(self) -> str:
        return "ca"

    def _signature(self, text: str) -> str:
        return ""


class Case:
    """One job, an operator that has just begun, and what goes on around both."""

    def __init__(self, seed: int) -> None:
        self.chance = random.Random(seed)
        name = self.chance.choice(sorted(SCENES))
        self.scene = scene(name)
        self.now = self.scene.now
        self.kube = KubeInMemory(lambda: self.now)
        self.bodies: dict[str, Any] = dict(self.scene.reports)
        """By worker: a document, or bytes that are none."""
        self.liars: set[str] = set()
        self.orders: dict[str, ProbeOrder | None] = {}
        self.job = copied(self.scene.job)
        self.plan = copied(self.scene.plan)
        self.pods = copied(self.scene.pods)
        self.others = copied(dict(self.scene.others))
        self.outcome = Outcome(seed, name, tuple(self._put_wrong()))
        self._fill()
        self.fleet = HeardFleet(self.scene, lambda: self.now)
        metrics, nodes = Metrics(CollectorRegistry()), NodeTable()
        self.reconciler = Reconciler(
            self.kube, nodes, self.fleet, self.scene.defaults, metrics, lambda: self.now
        )
        self.reconciler.begin()
        self.hints = Hints(KeyedQueue(), nodes, self.reconciler, self.fleet, ())
        self.relay = Relay(self.fleet, self.reconciler.memory, nodes, lambda: self.now)
        self.told = self.job["status"]
        self.known = Known(self)

    @property
    def key(self) -> Key:
        return self.job["metadata"]["namespace"], self.job["metadata"]["name"]

    @property
    def uid(self) -> str:
        return str(self.job["metadata"]["uid"])

    # --- what is put wrong

    def _put_wrong(self) -> list[str]:
        names = [self.scene, *(scene(name) for name in self.chance.sample(sorted(SCENES), 2))]
        self.mutations = Mutations(self.chance, [d for of in names for d in _documents(of)])
        chosen = self.chance.choices(sorted(_WRONG), k=self.chance.choice((1, 1, 2, 3, 5)))
        for name in chosen:
            _WRONG[name](self)
        return chosen

    def _wrong_spec(self) -> None:
        self.job["spec"] = self.mutations.of(self.job["spec"], SCHEMAS["spec"])

    def _wrong_status(self) -> None:
        other = self._of_another(lambda of: of.job["status"])
        self.job["status"] = other or self.mutations.of(self.job["status"], SCHEMAS["status"])

    def _wrong_plan(self) -> None:
        text = str(self.plan["data"][DOCUMENT_KEY])
        other = self._of_another(lambda of: json.loads(of.plan["data"][DOCUMENT_KEY]))
        if self.chance.random() < 0.1:
            text = mutated(self.chance, text.encode()).decode(errors="replace")
        elif (document := _read(text)) is not None:
            text = json.dumps(other or self.mutations.of(document, SCHEMAS["plan"]))
        self.plan["data"] = {DOCUMENT_KEY: text}

    def _wrong_report(self) -> None:
        if not self.bodies:
            return
        worker = self.chance.choice(sorted(self.bodies))
        self.liars.add(worker)
        document = self.bodies[worker]
        if isinstance(document, bytes) or self.chance.random() < 0.1:
            text = document if isinstance(document, bytes) else json.dumps(document).encode()
            self.bodies[worker] = mutated(self.chance, text)
        else:
            self.bodies[worker] = self.mutations.of(document, SCHEMAS["report"])

    def _wrong_pod(self) -> None:
        """Of what is read of it, anybody who may can write labels and annotations."""
        if self.pods:
            meta = self.chance.choice(self.pods)["metadata"]
            kind, name = self.chance.choice((("labels", ATTEMPT_LABEL), ("annotations", NODE_ANNOTATION)))
            meta[kind][name] = self.chance.choice((*WORDS, "-1", "7", "9" * 40))

    def _wrong_runtime(self) -> None:
        if runtime := self.others.get(RUNTIME_PLURAL):
            runtime["spec"] = self.mutations.of(runtime["spec"], SCHEMAS["runtime"])

    def _of_another(self, part: Callable[[Scene], Any]) -> Any:
        """The same document of another job, now and then."""
        if self.chance.random() > 0.05:
            return None
        found = copied(part(scene(self.chance.choice(sorted(SCENES)))))
        if "plan" in found and self.chance.random() < 0.5 and isinstance(found["plan"], dict):
            found["plan"]["jobUid"] = "another"
        return found

    def _fill(self) -> None:
        """The API server, as it is found: in what it holds there is no text that is none."""
        self.job, self.others = as_stored(self.job), as_stored(self.others)
        self.kube.put(JOBS.plural, self.job)
        self.kube.put(CONFIG_MAPS.plural, self.plan)
        for plural, raw in self.others.items():
            self.kube.put(plural, raw)
        for node in copied(self.scene.nodes):
            self.kube.put("nodes", node)
        for pod in self.pods:
            self.kube.put("pods", pod)

    # --- how it goes on

    async def run(self) -> Outcome:
        try:
            for _ in range(TURNS):
                await self.hints.sweep(self.kube)
                self._reports_come()
                await self._settles()
                self._drawn()
                if not self._there:
                    break
                self._told_why()
                kubelets_act(self.kube)
                something_happens(self.kube, self.chance)
                self.now += self.chance.choice(PASSING)
        except Exception:
            self._fault("crash", traceback.format_exc()[-LONGEST_TEXT:])
        return self.outcome

    async def _settles(self) -> None:
        for _ in range(LOOKS):
            before = self.kube.writes + len(self.kube.events)
            try:
                await self.reconciler.reconcile(self.key)
            except NotFound:
                if self._there:
                    raise
                return  # The time to live is over: nothing is told to a job that is gone.
            self.outcome.faults += [Fault("promise", text) for text in self.known.broken()]
            if self.kube.writes + len(self.kube.events) == before:
                self.outcome.faults += [Fault("promise", text) for text in self.known.broken_at_rest()]
                return
        decision = next(iter(self.reconciler.memory.held())).decision
        self._fault("unsettled", decision.reason if decision else "?")

    def _reports_come(self) -> None:
        for pod in running(self.kube):
            worker = worker_name(node_of(pod))
            said = self._lie(worker) if worker in self.liars else self._truth(worker, pod)
            self.bodies[worker] = repeated(said, self.now)
            self._take(self.bodies[worker], Sender(worker, uid_of(pod)))

    def _lie(self, worker: str) -> Any:
        """The same again, or another."""
        if self.chance.random() < 0.7:
            return self.bodies[worker]
        return self.mutations.of(self.scene.reports[worker], SCHEMAS["report"])

    def _truth(self, worker: str, pod: Raw) -> Raw:
        held = self.bodies.get(worker)
        if held is None or held["podUid"] != uid_of(pod):
            held = first_report(pod, self.now)
        measured = measuring(held, self.orders.get(worker), self.now, self.chance)
        plan = self.fleet.board.plan(self.uid)
        return following(measured, plan.slice_for(worker)) if plan else measured

    def _take(self, said: Any, sender: Sender) -> None:
        """As the fleet API does."""
        body = said if isinstance(said, bytes) else json.dumps(said).encode()
        try:
            self.orders[sender.worker] = self.fleet.take(self.uid, read_reports(body), sender).probe
        except (Problem, InvalidReport) as refusal:
            assert str(refusal) or getattr(refusal, "text", ""), "a report is refused without a word"
            self.outcome.refused.add("report")
        except Over:
            self.outcome.refused.add("pod that is over")

    def _drawn(self) -> None:
        """What people and programs are told of it all."""
        views.job(self.fleet, self.uid).model_dump_json()
        self.relay.look()()

    def _told_why(self) -> None:
        """What cannot be read is said to be so, on the job; one that another looks after is left to that."""
        if text_at(self.job_now, "spec", "managedBy") not in ("", MANAGED_BY):
            self.outcome.refused.add("another's")
            return
        try:
            job_view(self.kube.objects[JOBS.plural, *self.key] | {"status": {}})
        except ValidationError:
            self.outcome.refused.add("spec")
            said = [c for c in _conditions(self.job_now) if c["reason"] == "InvalidSpec" and c["message"]]
            if not said:
                self._fault("promise", "a spec that cannot be read is not told of")
        if any(event["reason"] == "PlanMended" and event["message"] for event in self.kube.events):
            self.outcome.refused.add("plan")
        for condition in _conditions(self.job_now):
            if condition["status"] == "False" and condition["type"] == "Scheduled":
                self.outcome.refused.add(condition["reason"])

    @property
    def _there(self) -> bool:
        return (JOBS.plural, *self.key) in self.kube.objects

    @property
    def job_now(self) -> Raw:
        return self.kube.objects[JOBS.plural, *self.key]

    def _fault(self, kind: str, text: str) -> None:
        self.outcome.faults.append(Fault(kind, text))


class Known:
    """What was promised of a job, and seen of it so far."""

    def __init__(self, case: Case) -> None:
        self._case, self._made = case, 0
        self._plan = self._stored()
        self._written: JobPlan | None = None
        told = case.scene.plan["data"][DOCUMENT_KEY] if "status" not in case.outcome.changed else "{}"
        before = StoredPlan.from_wire(told).plan
        self._revision = max(of.revision if of else 0 for of in (before, self._plan))

    def _stored(self) -> JobPlan | None:
        for raw in self._case.kube.all(CONFIG_MAPS.plural):
            if text := raw["data"].get(DOCUMENT_KEY):
                with contextlib.suppress(ValidationError):
                    found = StoredPlan.from_wire(text).plan
                    return found if found and found.job_uid == self._case.uid else None
        return None

    def broken(self) -> Iterator[str]:
        """By any one look."""
        kube = self._case.kube
        made, self._made = kube.made[self._made :], len(kube.made)
        for pod in made:
            if not is_ready(kube, node_of(pod)):
                yield f"a pod is made on {node_of(pod)}, which is not ready"
        plan = self._stored()
        if plan is not None and plan != self._plan:
            if plan.revision <= self._revision:
                yield f"revision {plan.revision} after {self._revision}"
            self._revision = max(self._revision, plan.revision)
            yield from _wrong_groups(plan)
            self._written = plan
        self._plan = plan

    def broken_at_rest(self) -> Iterator[str]:
        """Once there is nothing to do any more."""
        case = self._case
        living = [pod_view(raw) for raw in own(case.kube.all("pods"), case.uid)]
        nodes = [pod.node for pod in living if pod.living]
        job = case.reconciler.memory.known(case.key)
        if job is None or (JOBS.plural, *case.key) not in case.kube.objects:
            return
        if len(nodes) != len(set(nodes)):
            yield f"two pods on one node: {sorted(nodes)}"
        ending = case.job_now["status"].get("phase") in tuple(End)
        if len(nodes) > job.spec.nodes.max and not ending:
            yield f"{len(nodes)} workers, nodes.max is {job.spec.nodes.max}"
        written = self._written
        if written and written.phase is Phase.TRAIN and len(written.members) < job.spec.nodes.min:
            yield f"{len(written.members)} members train, nodes.min is {job.spec.nodes.min}"
        for worker in {worker_name(node) for node in nodes}:
            if served := case.fleet.board.newer_than(case.uid, worker, 0, 0):
                Plan.from_wire(served.text)
        told = case.job_now["status"]
        if told is not case.told and JobStatus.model_validate(told).to_wire() != told:
            yield "the status cannot be read as it was written"


def _wrong_groups(plan: JobPlan) -> Iterator[str]:
    names = [of.name for of in plan.groups]
    if len(names) != len(set(names)):
        yield f"two groups of one name: {names}"
    for of in plan.groups:
        if of.group and sorted(of.group.succession) != sorted(m.worker for m in of.members):
            yield f"group {of.name}: {of.group.succession} succeed one another, {of.members} are members"


def _documents(of: Scene) -> list[Any]:
    stored = json.loads(of.plan["data"][DOCUMENT_KEY])
    return [of.job["spec"], of.job["status"], stored, *of.reports.values()]


def _read(text: str) -> Any:
    try:
        return json.loads(text)
    except (ValueError, RecursionError):
        return None


def _conditions(job: Raw) -> list[Raw]:
    status = job.get("status")
    found = status.get("conditions") if isinstance(status, dict) else None
    return found if isinstance(found, list) else []


_WRONG: Mapping[str, Callable[[Case], None]] = {
    "spec": Case._wrong_spec,
    "status": Case._wrong_status,
    "plan": Case._wrong_plan,
    "report": Case._wrong_report,
    "pod": Case._wrong_pod,
    "runtime": Case._wrong_runtime,
}


def tried(seed: int) -> Outcome:
    """What comes of one case."""
    return asyncio.run(Case(seed).run())
