"""A whole job on a simulated clock: supervisors' groups and trainers as in `simulation`, and above them the
operator's own `decide`, with its stored plan, its take-overs, and reports that come late or not at all.

It asks one thing: once faults end, are steps committed again, soon, and without the last resort?
"""

from collections.abc import Callable, Collection, Sequence
from dataclasses import dataclass, field, replace
from functools import partial
from typing import Any

from edgetrain.group.machine import Group
from edgetrain.group.members import Pod
from edgetrain.group.status import PlanView
from edgetrain.link import messages as link
from edgetrain.supervisor.facts import Facts
from edgetrain.supervisor.outlook import outlook
from edgetrain.supervisor.plans import view_of
from edgetrain.supervisor.training import is_news, training_part
from edgetrain_operator.core.feature_gates import FeatureGates
from edgetrain_operator.core.job_plan import JobPlan
from edgetrain_operator.core.naming import worker_name
from edgetrain_operator.fleet_state import StampedReport
from edgetrain_protocol.history import NO_HISTORY, History
from edgetrain_protocol.names import SITE_LABEL
from edgetrain_protocol.report import VOTES_LOST, Checkpoint, Report, TrainingPart
from tests.model.simulation import Simulation
from tests.support.world import START, World

CONTAINER = (0.3, 0.8)
"""Seconds from a pod's creation, or its node's power, to its supervisor."""
STOP_SECONDS = 0.3
DARK_SECONDS = 8.0
"""From a node's last word to NotReady."""
LOOK_SECONDS = 1.0
REPORT_SECONDS = 2.0
PLAN_SECONDS = 0.05


@dataclass
class Worker:
    """What a supervisor knows beside its group, and what it last told."""

    facts: Facts = field(default_factory=Facts)
    told: TrainingPart | None = None
    sequence: int = 0
    uid: str = ""


class Job(Simulation):
    step_seconds = (0.3, 0.5)

    def __init__(self, size: int, seed: int = 0, sites: Sequence[str] = (), **spec: Any) -> None:
        """`sites`: of each node, whose workers are a group then."""
        self.nodes = [f"edge-{i}" for i in range(size)]
        claim = {"checkpoint": {"claim": {"size": "64Mi"}}}
        given = {"nodes": {"min": 2}, "storage": claim, "runPolicy": {"backoffLimit": 1000}, **spec}
        given |= {"strategy": {"grouping": "site"}} if sites else {}
        self.world = World.of(*self.nodes, **given)
        self.world.defaults = replace(self.world.defaults, feature_gates=FeatureGates(grouping=True))
        if sites:
            # Else nobody begins before it is known whom others reach.
            self.world.measure(**dict.fromkeys(self.nodes, 1e7))
        for index, site in enumerate(sites):
            self.label(index, site)
        self.offline: set[int] = set()
        """Cut off from the operator."""
        self.late: set[int] = set()
        """Their reports take seconds."""
        self.lies: dict[int, Callable[[TrainingPart], TrainingPart]] = {}
        """Of those who were taken over: what they make of their reports."""
        self.operator_up = True
        self.workers = [Worker() for _ in self.nodes]
        self._served: JobPlan | None = None
        self._due = False
        super().__init__(size, seed)

    def first_pods(self, size: int) -> list[Pod]:
        return [Pod(worker_name(node), "") for node in self.nodes]

    def begin(self, planned: int) -> None:
        self.plan = PlanView(NO_HISTORY, 0, (), (), ())
        for index, site in enumerate(self.sites):
            site.up = False
            self.after(self.random.uniform(0, REPORT_SECONDS), partial(self._report_on, index))
        self._look()

    # --- the operator

    def _look(self) -> None:
        """Every so often, as its timers have it, beside what changes cause."""
        self.after(LOOK_SECONDS, self._look)
        self.operate()

    def operate(self) -> None:
        if not self.operator_up:
            return
        self.world.now = START + self.now
        self.world.step()
        for uid, pod in list(self.world.pods.items()):
            index = self.nodes.index(pod.node)
            if pod.living and self.workers[index].uid != uid:
                self._place(index, uid)
            elif pod.deleting and self.pods[index].uid == uid:
                self.after(STOP_SECONDS, partial(self._end_pod, index, uid))
        self._serve()

    def _news(self) -> None:
        """Something was heard that a decision may rest on: soon, and once for all that comes together."""
        if not self._due:
            self._due = True
            self.after(PLAN_SECONDS, self._decide)

    def _decide(self) -> None:
        self._due = False
        self.operate()

    def _serve(self) -> None:
        plan = self.world.stored.plan
        if plan is None or plan == self._served:
            return
        self._served = plan
        for index in range(len(self.nodes)):
            self._poll(index)

    def _poll(self, index: int) -> None:
        """The worker's long poll is answered, where it comes through."""
        if self._served and self.operator_up and index not in self.offline:
            plan, worker = self._served, self.pods[index].worker
            view = view_of(plan.slice_for(worker), worker)
            self.at(index, self.random.uniform(0.01, PLAN_SECONDS), partial(self.hold, index, view))

    def take_over(self) -> None:
        """Another operator: it has the stored plan, and has heard nobody."""
        self.world.reports, self.world.since, self._served = {}, START + self.now, None
        self.world.furthest = {}
        self.operator_up = True

    # --- plans, handed round

    def hold(self, index: int, plan: PlanView) -> None:
        site, held = self.sites[index], self.sites[index].group.plan
        if not site.up or (held and plan.revision <= held.revision):
            return
        self.carry(index, site.group.on_plan(plan, self.now))
        for other, pod in enumerate(self.pods):
            if other != index and (other, index) in self._heard and pod in plan.pods:
                self.send(index, pod, partial(self._passed, other, plan))

    def _passed(self, index: int, plan: PlanView, _: Group) -> list[Any]:
        if self.pods[index] in plan.pods:
            self.hold(index, plan)
        return []

    def hear(self, index: int, other: int) -> None:
        new = (index, other) not in self._heard
        super().hear(index, other)
        plan = self.sites[other].group.plan
        if new and plan and self.pods[index] in plan.pods:
            self.hold(index, plan)

    def hold_first(self, index: int, plan: PlanView | None) -> None:
        """What was on its disk; the operator's comes by the poll."""
        if kept := self.sites[index].kept_plan:
            self.carry(index, self.sites[index].group.on_plan(kept, self.now))
        self._poll(index)

    def label(self, index: int, site: str) -> None:
        """Somebody says of which site this node is."""
        node = self.world.nodes[self.nodes[index]]
        self.world.nodes[node.name] = replace(node, labels={**node.labels, SITE_LABEL: site})

    # --- pods

    def _place(self, index: int, uid: str) -> None:
        """A pod was made: its container starts, on an empty disk but for what is on the node."""
        self.workers[index] = Worker(uid=uid)
        site = self.sites[index]
        self.cut_power(index)
        site.disk, site.kept_plan, site.lost_disk, site.trainer = None, None, False, None
        site.aside.clear()
        self.pods[index] = Pod(self.pods[index].worker, uid)
        self.forget(index)
        if not site.dark:
            self.after(self.random.uniform(*CONTAINER), partial(self._start_container, index, uid))

    def _start_container(self, index: int, uid: str) -> None:
        pod, site = self.world.pods.get(uid), self.sites[index]
        if pod and pod.living and not site.dark and self.pods[index].uid == uid and not site.up:
            # Its reports are numbered on: the last number is on its disk.
            self.workers[index] = Worker(uid=uid, sequence=self.workers[index].sequence)
            self.boot(index)

    def _end_pod(self, index: int, uid: str) -> None:
        """SIGTERM, as the kubelet gives it: the others hear the end of the process."""
        site = self.sites[index]
        if site.dark or uid not in self.world.pods:
            return
        if self.pods[index].uid == uid and site.up:
            if site.trainer:
                self.carry(index, site.group.on_ended(site.trainer.member, self.now))
            self.cut_power(index)
        self.after(STOP_SECONDS, partial(self._forget_pod, uid))

    def _forget_pod(self, uid: str) -> None:
        self.world.pods.pop(uid, None)

    def delete_pod(self, index: int) -> None:
        """kubectl delete pod."""
        uid = self.pods[index].uid
        if uid in self.world.pods:
            self.world.pods[uid] = replace(self.world.pods[uid], deleting=True)
            self._news()

    def power_off(self, index: int) -> None:
        site = self.sites[index]
        if site.dark:
            return
        site.dark = True
        if site.up:
            site.kept_plan = site.group.plan
        self.cut_power(index)
        node = self.nodes[index]

        def unready() -> None:
            if self.sites[index].dark:
                self.world.nodes[node] = replace(self.world.nodes[node], ready=False)

        self.after(DARK_SECONDS, unready)

    def power_on(self, index: int) -> None:
        site, node = self.sites[index], self.nodes[index]
        if not site.dark:
            return
        site.dark = False
        self.world.nodes[node] = replace(self.world.nodes[node], ready=True)
        uid = self.pods[index].uid
        self.after(self.random.uniform(*CONTAINER), partial(self._start_container, index, uid))

    def fail_program(self, index: int) -> None:
        """It raises: the container ends with it, and the kubelet starts it again."""
        site, uid = self.sites[index], self.pods[index].uid
        if not site.up or site.trainer is None:
            return
        self.carry(index, site.group.on_ended(site.trainer.member, self.now))
        site.kept_plan = site.group.plan
        self.cut_power(index)
        self.after(self.random.uniform(*CONTAINER), partial(self._start_container, index, uid))

    def replace_pod(self, index: int) -> None:
        """Its votes are lost: it says so, and the operator makes another."""
        facts = self.workers[index].facts
        facts.error_reason, facts.error = VOTES_LOST, "lost"
        self._report(index)
        self.cut_power(index)

    def forget(self, index: int) -> None:
        for pair in [p for p in self._heard if index in p]:
            if pair[0] == index:
                self._heard.pop(pair)
            else:
                self.lose(*pair)

    # --- reports

    def tell(self, index: int, message: link.Message) -> None:
        facts = self.workers[index].facts
        match message:
            case link.Progress():
                facts.progress = message
            case link.Checkpointed(history, step, digest, _):
                self._hold_checkpoint(facts, history, step, digest)
            case link.Built():
                facts.broken_since = None
        super().tell(index, message)

    def _hold_checkpoint(self, facts: Facts, history: History, step: int, digest: str) -> None:
        saved = Checkpoint(**history._asdict(), step=step, digest=digest)
        held = {**facts.checkpoints, (history, step): saved}
        facts.checkpoints = dict(sorted(held.items())[-3:])

    def start_trainer(self, index: int) -> None:
        super().start_trainer(index)
        facts, site = self.workers[index].facts, self.sites[index]
        assert site.trainer is not None
        facts.incarnation, facts.progress, facts.checkpoints = site.trainer.member.incarnation, None, {}
        for history, step, digest in sorted(site.checkpoints):
            self._hold_checkpoint(facts, history, step, digest)

    def carry(self, index: int, effects: list[Any]) -> None:
        super().carry(index, effects)
        site = self.sites[index]
        if site.up:
            self._tell_news(index)

    def part(self, index: int) -> TrainingPart:
        group, facts = self.sites[index].group, self.workers[index].facts
        facts.note(group.status.stage, self.now)
        facts.log_disk = f"disk of {self.nodes[index]}"
        return training_part(
            group.status, facts, group.plan, group.word, group.statuses, self.now, outlook(group, self.now)
        )

    def _tell_news(self, index: int) -> None:
        worker = self.workers[index]
        part = self.part(index)
        if is_news(part, worker.told):
            worker.told = part
            self._deliver(index, part)

    def _report_on(self, index: int) -> None:
        self.after(REPORT_SECONDS, partial(self._report_on, index))
        if self.sites[index].up and not self.sites[index].stopped:
            self._report(index)

    def _report(self, index: int) -> None:
        worker = self.workers[index]
        worker.told = self.part(index)
        self._deliver(index, worker.told)

    def _deliver(self, index: int, part: TrainingPart) -> None:
        if index in self.offline:
            return
        worker, pod = self.workers[index], self.pods[index]
        worker.sequence += 1
        part = self.lies[index](part) if index in self.lies else part
        delay = self.random.uniform(2.0, 6.0) if index in self.late else self.random.uniform(0.005, 0.1)
        self.after(delay, partial(self._received, index, pod, worker.sequence, part))

    def _received(self, index: int, pod: Pod, sequence: int, part: TrainingPart) -> None:
        known = self.world.reports.get(pod.worker)
        old = known and known.head.pod_uid == pod.uid and known.head.sequence >= sequence
        if not self.operator_up or pod.uid in self.world.over or pod.uid not in self.world.pods or old:
            return
        node = self.nodes[index]
        head = Report(
            worker=pod.worker,
            node=node,
            pod=pod.worker,
            pod_uid=pod.uid,
            address=f"10.0.0.{index}",
            control_port=1,
            state_port=2,
            probe_port=3,
            sequence=sequence,
            at=START + self.now,
        )
        self.world.change_pod(node, phase="Running", ready=True)
        self.world.reports[pod.worker] = StampedReport(head, part, START + self.now)
        self.world.heard_revision = max(self.world.heard_revision, part.revision_held)
        furthest = self.world.furthest.get(part.group, (part.history, 0))
        self.world.furthest[part.group] = max(furthest, (part.history, part.step))
        self._news()

    # --- what came of it

    def peace(self) -> None:
        """All faults end."""
        self.offline.clear()
        self.late.clear()
        if not self.operator_up:
            self.take_over()
        for index, site in enumerate(self.sites):
            self.power_on(index)
            site.stopped = site.frozen = site.away = False
        self.mend_links()
        self.slow_disk, self.builds_fail = 0.0, False
        for index in range(len(self.sites)):
            self._resume(index)
            self._poll(index)

    def commits_again(self, within: float) -> bool:
        """Whether a step is begun and committed after this moment, within so many seconds."""
        newest, step = max(self.histories, default=NO_HISTORY), self.step
        return self.run(within, lambda: max(self.histories) > newest or self.step > step + 1)

    @property
    def generation(self) -> int:
        return self.world.plan.generation if self.world.stored.plan else 0

    def why(self) -> str:
        """For people: who stands where."""
        lines = [f"now {self.now:.1f}, plan {self.world.stored.plan}"]
        for index, site in enumerate(self.sites):
            group = site.group
            lines.append(
                f"{self.nodes[index]} up={site.up} {group.status.stage} of {group.status.history} "
                f"formation {group.status.formation} committed {group.status.committed} why={group.why!r} "
                f"waits_for={group.waits_for} plan={group.plan and (group.plan.history, group.plan.revision)}"
            )
        return "\n".join([*self.logs[-15:], *lines, *map(str, self.world.told[-15:])])


def training_job(size: int, seed: int = 0, steps: int = 12, **spec: Any) -> Job:
    """A job that has trained for some time and has durable checkpoints."""
    job = Job(size, seed, **spec)
    assert job.run(30, lambda: job.step >= steps), job.why()
    return job


def all_of(job: Job, action: Callable[[int], None], which: Collection[int] | None = None) -> None:
    for index in which if which is not None else range(len(job.nodes)):
        action(index)
