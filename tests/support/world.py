"""A job's world in memory for the operator's pure core: nodes, pods, reports and time, moved by hand.

`step` decides and carries out: what an API server, kubelets and the reconcile would do, and no more.
"""

from dataclasses import dataclass, field, replace
from typing import Any

from edgetrain_operator.core.actions import (
    Create,
    Decision,
    DeletePod,
    DeleteWorkload,
    MarkOver,
    PatchWorkload,
)
from edgetrain_operator.core.decide import decide
from edgetrain_operator.core.kueue.workload import Flavor, KueueView, workload_view
from edgetrain_operator.core.model import (
    ContainerEnd,
    Defaults,
    Job,
    NodeView,
    Observed,
    PodView,
    Refusal,
    Subject,
)
from edgetrain_operator.core.naming import worker_name
from edgetrain_operator.core.presets import with_preset
from edgetrain_operator.core.queues.grant import Grant
from edgetrain_operator.core.runtimes.in_force import with_runtime
from edgetrain_operator.core.runtimes.version import RuntimeVersion
from edgetrain_operator.core.stored import GroupRecord, KnownFormation, StoredPlan
from edgetrain_operator.fleet_state import NodeRate, StampedReport
from edgetrain_protocol.history import ALL, History
from edgetrain_protocol.job import JobSpec
from edgetrain_protocol.names import ATTEMPT_LABEL, EDGE_NODE_LABEL, NODE_ANNOTATION, Env
from edgetrain_protocol.plan import Plan
from edgetrain_protocol.report import Formation, Quorum, Report, TrainerState, TrainingPart, Voter
from edgetrain_protocol.status import Condition, JobStatus, NodeStatus
from tests.support.histories import FIRST

START = 1_000_000.0
UID = "0b9a6c0e-job"
DEFAULTS = Defaults("registry.example/edgetrain:1", "fleet.example:8443")


def edge_node(name: str, **changes: Any) -> NodeView:
    return replace(NodeView(name, {EDGE_NODE_LABEL: ""}), **changes)


@dataclass
class World:
    spec: dict[str, Any] = field(default_factory=dict)
    now: float = START
    since: float = START - 3600
    nodes: dict[str, NodeView] = field(default_factory=dict)
    pods: dict[str, PodView] = field(default_factory=dict)
    """By uid."""
    stored: StoredPlan = field(default_factory=StoredPlan)
    status: JobStatus = field(default_factory=JobStatus)
    reports: dict[str, StampedReport] = field(default_factory=dict)
    rates: dict[str, NodeRate] = field(default_factory=dict)
    reachable: dict[str, bool] = field(default_factory=dict)
    heard_revision: int = 0
    furthest: dict[str, tuple[History, int]] = field(default_factory=dict)
    refusals: dict[Subject, Refusal] = field(default_factory=dict)
    strangers: dict[str, NodeView] = field(default_factory=dict)
    grant: Grant | None = None
    defaults: Defaults = DEFAULTS
    over: set[str] = field(default_factory=set)
    told: list[str] = field(default_factory=list)
    """Reasons of all events so far."""
    made: int = 0
    quorum: Quorum | None = None
    """Of the formation that trained last."""
    queue: str = ""
    workload: dict[str, Any] | None = None
    """As the API server holds it."""
    flavors: tuple[Flavor, ...] = ()
    priority: int = 0
    missing: str = ""
    runtime: RuntimeVersion | None = None
    """As the API server holds it; for a job that names it."""

    @classmethod
    def of(cls, *nodes: str, **spec: Any) -> "World":
        return cls(spec=spec, nodes={name: edge_node(name) for name in nodes})

    def observed(self) -> Observed:
        spec = JobSpec.model_validate(self.spec)
        job = Job("digits", "default", UID, 1, spec, self.status, START, self.queue)
        return Observed(
            job=with_preset(with_runtime(job, self.stored, bool(self.pods), self.runtime)),
            now=self.now,
            since=self.since,
            defaults=self.defaults,
            nodes=dict(self.nodes),
            pods=tuple(self.pods.values()),
            stored=self.stored,
            reports=dict(self.reports),
            rates=dict(self.rates),
            reachable=dict(self.reachable),
            heard_revision=self.heard_revision,
            furthest=self.furthest,
            ca_bundle="ca",
            refusals=dict(self.refusals),
            strangers=dict(self.strangers),
            grant=self.grant,
            kueue=KueueView(
                self.defaults.kueue,
                workload_view(self.workload) if self.workload else None,
                self.flavors,
                self.priority,
                self.missing,
            ),
        )

    def step(self) -> Decision:
        """Decide and carry out."""
        decision = decide(self.observed())
        self.carry_out(decision)
        return decision

    def carry_out(self, decision: Decision, actions: int | None = None) -> None:
        """Write the plan, then the first `actions` actions; status and events only where all were done."""
        self.stored = StoredPlan.from_wire(decision.stored.to_document())
        for action in decision.actions[:actions]:
            self._do(action)
        self.told += [event.reason for event in decision.events]
        if actions is None or actions >= len(decision.actions):
            self.status = decision.status
            self.told += [event.reason for event in decision.status_events]

    def settle(self, steps: int = 10) -> Decision:
        """Step until nothing changes."""
        for _ in range(steps):
            before = (self.stored, dict(self.pods), self.status, self.workload)
            decision = self.step()
            if (self.stored, self.pods, self.status, self.workload) == before:
                return decision
        raise AssertionError(f"does not settle: {decision.reason}")

    def _do(self, action: object) -> None:
        match action:
            case Create({"kind": "Pod"} as manifest):
                self._make(manifest)
            case Create({"kind": "Workload"} as manifest):
                self.made += 1
                meta = manifest["metadata"] | {"uid": f"workload-{self.made}", "resourceVersion": "1"}
                self.workload = manifest | {"metadata": meta}
            case PatchWorkload() as patch:
                self._patch(patch)
            case DeleteWorkload():
                self.workload = None
            case DeletePod(_, uid):
                self.pods[uid] = replace(self.pods[uid], deleting=True)
            case MarkOver(uid):
                self.over.add(uid)
                self.reports = {w: r for w, r in self.reports.items() if r.head.pod_uid != uid}

    def _patch(self, patch: PatchWorkload) -> None:
        assert self.workload is not None
        meta, part = self.workload["metadata"], "status" if patch.of_status else "spec"
        assert (patch.uid, patch.version) == (meta["uid"], meta["resourceVersion"])
        merged = {**self.workload.get(part, {}), **patch.changes}
        kept = {key: value for key, value in merged.items() if value is not None}
        meta = meta | {"resourceVersion": str(int(meta["resourceVersion"]) + 1)}
        self.workload = self.workload | {"metadata": meta, part: kept}

    def _make(self, manifest: dict[str, Any]) -> None:
        meta = manifest["metadata"]
        if any(pod.name == meta["name"] for pod in self.pods.values()):
            return
        self.made += 1
        pod = PodView(
            name=meta["name"],
            uid=f"pod-{self.made}",
            node=meta["annotations"][NODE_ANNOTATION],
            attempt=int(meta["labels"][ATTEMPT_LABEL]),
            fleet_address=_fleet_address(manifest),
            created=self.now,
        )
        self.pods[pod.uid] = pod

    # What kubelets and workers do

    def pod(self, node: str) -> PodView:
        """The newest pod on the node."""
        return max((p for p in self.pods.values() if p.node == node), key=lambda p: p.attempt)

    def change_pod(self, node: str, **changes: Any) -> None:
        pod = self.pod(node)
        self.pods[pod.uid] = replace(pod, **changes)

    def crash(self, node: str, times: int, message: str) -> None:
        """The kubelet has seen the trainer end so often, and waits before it starts it again."""
        end = ContainerEnd("trainer", "Error", 1, message, times - 1)
        self.change_pod(node, phase="Running", crashes=times, idle=True, ends=(end,))
        self.settle()

    def remove_pod(self, *nodes: str) -> None:
        """Their kubelets have ended it; it is gone from the API."""
        for node in nodes:
            del self.pods[self.pod(node).uid]

    def finish_deletions(self) -> None:
        self.pods = {uid: pod for uid, pod in self.pods.items() if not pod.deleting}

    def say(self, node: str, state: TrainerState = TrainerState.WAITING, **training: Any) -> None:
        """The node's worker reports now, from its newest pod."""
        pod, worker = self.pod(node), worker_name(node)
        history = self.served(node).history if self.stored.plan else FIRST
        usual = {"state": state, "incarnation": f"{pod.uid}-1", "log_disk": pod.uid}
        part = usual | history._asdict() | training
        head = Report(
            worker=worker,
            node=node,
            pod=pod.name,
            pod_uid=pod.uid,
            address=f"10.0.0.{len(node)}",
            control_port=7070,
            state_port=7074,
            probe_port=7073,
            sequence=1,
            at=self.now,
        )
        self.change_pod(node, phase="Running", ready=True)
        self.reports[worker] = StampedReport(head, TrainingPart.model_validate(part), self.now)

    def measure_first(self, node: str) -> None:
        """Of a pod that has just started the profiler is heard, and its supervisor is not yet."""
        self.say(node)
        worker = worker_name(node)
        self.reports[worker] = StampedReport(self.reports[worker].head, measured_received=self.now)

    def train(
        self, *nodes: str, number: int = 1, aggregator: str = "", lost: tuple[str, ...] = (), step: int = 10
    ) -> None:
        """These report that they train together; `lost` names nodes that they put out."""
        workers = tuple(worker_name(node) for node in nodes)
        formation = Formation(
            **self.served(nodes[0]).history._asdict(),
            revision=self.plan.revision,
            number=number,
            aggregator=worker_name(aggregator or nodes[0]),
            members=workers,
        )
        voters = [
            Voter(worker=worker_name(n), pod_uid=self.pod(n).uid, incarnation=f"{self.pod(n).uid}-1")
            for n in nodes
        ]
        self.quorum = Quorum(number=number, aggregator=formation.aggregator, voters=tuple(voters))
        for node in nodes:
            gone = tuple(worker_name(name) for name in lost)
            self.say(
                node,
                TrainerState.TRAINING,
                formation=formation,
                base=number if step else number - 1,
                lost=gone,
                step=step,
                steps_per_second=2.0,
                holds=True,
                counted=(self.quorum,),
            )

    def pause(self, *nodes: str, step: int = 10) -> None:
        """Members of the last formation report that they stand still, with their state in memory."""
        assert self.quorum is not None
        base = self.quorum.number
        for node in nodes:
            self.say(node, TrainerState.PAUSED, base=base, step=step, holds=True, counted=(self.quorum,))

    def restart(self, *nodes: str, **training: Any) -> None:
        """Their programs have ended and started anew: what was in memory is lost."""
        assert self.quorum is not None
        base, left = self.quorum.number, self.quorum.voters
        for node in nodes:
            left = tuple(v for v in left if v.worker != worker_name(node))
        known = self.quorum.model_copy(update={"voters": left})
        for node in nodes:
            said: dict[str, Any] = {"state": TrainerState.WAITING, "base": base, "counted": (known,)}
            self.say(node, incarnation=f"{self.pod(node).uid}-2", **(said | training))

    def measure(self, **bits_per_second: float) -> None:
        """By node; underscores stand for dashes."""
        for name, rate in bits_per_second.items():
            worker = worker_name(name.replace("_", "-"))
            self.rates[worker] = NodeRate(rate, self.now, "w-peer")
            self.reachable[worker] = True

    def hide(self, *nodes: str) -> None:
        """Others do not reach them; what was measured stays."""
        self.reachable |= dict.fromkeys(map(worker_name, nodes), False)

    def pass_time(self, seconds: float) -> None:
        self.now += seconds

    # What came of it

    @property
    def plan(self) -> Plan:
        """As the workers of its one group are served it."""
        assert self.stored.plan is not None
        members = [member.worker for member in self.stored.plan.members]
        return self.stored.plan.slice_for(members[0] if members else "")

    def served(self, node: str) -> Plan:
        """What this node's worker is served."""
        assert self.stored.plan is not None
        return self.stored.plan.slice_for(worker_name(node))

    @property
    def group(self) -> GroupRecord:
        """What is remembered of its one group."""
        return self.stored.group(ALL)

    @property
    def formation(self) -> KnownFormation | None:
        return self.group.formation

    @property
    def phase(self) -> str:
        return str(self.plan.phase)

    @property
    def members(self) -> list[str]:
        """Nodes of the plan's members."""
        return sorted(member.node for group in self.plan.groups for member in group.members)

    @property
    def aggregator(self) -> str:
        """Its node."""
        (group,) = self.plan.groups
        return next(member.node for member in group.members if member.worker == group.aggregator)

    def condition(self, kind: str) -> Condition:
        return next(c for c in self.status.conditions if c.type == kind)

    def line(self, node: str) -> NodeStatus:
        return next(line for line in self.status.nodes if line.node == node)

    def lines(self) -> dict[str, str]:
        """Node -> state, from status."""
        return {line.node: str(line.state) for line in self.status.nodes}


def _fleet_address(manifest: dict[str, Any]) -> str:
    variables = manifest["spec"]["containers"][0]["env"]
    return next(str(v["value"]) for v in variables if v["name"] == Env.FLEET_ADDRESS)


def trained(*nodes: str, **spec: Any) -> World:
    """A world in which all nodes' workers train in formation 1."""
    return going(World.of(*nodes, **spec), *nodes)


def going(world: World, *nodes: str) -> World:
    """The same once these nodes' workers train in formation 1."""
    world.settle()
    for node in nodes:
        world.say(node)
    world.settle()
    world.train(*nodes)
    world.settle()
    return world
