"""One decision's working view: what was observed, and what its earlier stages have made of it."""

from collections.abc import Mapping
from dataclasses import dataclass
from functools import cached_property

from edgetrain_operator.core.group_reports import GroupReports
from edgetrain_operator.core.job_plan import GroupPlan, JobPlan
from edgetrain_operator.core.model import Observed, PodView
from edgetrain_operator.core.placement import Placement
from edgetrain_operator.core.report_view import ReportView
from edgetrain_operator.core.rounds.ended import finished
from edgetrain_operator.core.stored import GroupRecord, StoredPlan, WorkerRecord
from edgetrain_protocol.history import ALL, History
from edgetrain_protocol.plan import Member
from edgetrain_protocol.status import GroupStatus


@dataclass(frozen=True)
class DecisionContext:
    seen: Observed
    records: Mapping[str, WorkerRecord]
    placement: Placement

    @property
    def now(self) -> float:
        return self.seen.now

    @property
    def stored(self) -> StoredPlan:
        return self.seen.stored

    @property
    def plan(self) -> JobPlan | None:
        return self.stored.plan

    @property
    def lineage(self) -> int:
        """The present one. status remembers it where the ConfigMap was lost."""
        return self.plan.lineage if self.plan else max(self.seen.job.status.plan.lineage, 1)

    @cached_property
    def members(self) -> tuple[Member, ...]:
        return self.stored.members

    @cached_property
    def reports(self) -> ReportView:
        return ReportView(self.seen, self.records)

    @cached_property
    def finished(self) -> Mapping[str, str]:
        """Workers of a job in rounds that have come to its end -> their pods."""
        return finished(self.seen, self.records)

    @cached_property
    def groups(self) -> tuple["GroupContext", ...]:
        """One for each group that has a worker, by name; that of all workers as long as none is known."""
        names = {*self.records_by_group, *(of.name for of in self._with_members)}
        return tuple(GroupContext(self, name) for name in sorted(names or {ALL}))

    @cached_property
    def records_by_group(self) -> Mapping[str, Mapping[str, WorkerRecord]]:
        """Those of the workers that are of each now."""
        found: dict[str, dict[str, WorkerRecord]] = {}
        for worker, record in self.records.items():
            found.setdefault(record.group, {})[worker] = record
        return found

    @property
    def _with_members(self) -> list[GroupPlan]:
        return [of for of in self.plan.groups if of.members] if self.plan else []

    @cached_property
    def pods(self) -> Mapping[str, PodView]:
        """By uid."""
        return {pod.uid: pod for pod in self.seen.pods}

    @property
    def member_pods(self) -> list[PodView]:
        """Those of the plan's members that are there."""
        return [pod for member in self.members if (pod := self.pods.get(member.pod_uid))]

    def node_of(self, worker: str) -> str:
        """Its node's name, for people; its own where no record is left."""
        return self.records[worker].node if worker in self.records else worker

    def with_node_names(self, text: str) -> str:
        """What workers say of one another, for people."""
        for worker in self.records:
            text = text.replace(worker, self.node_of(worker))
        return text

    def down(self, pod: PodView) -> bool:
        """Whether its trainer does not run, by the word of a kubelet that is heard: newer than its own."""
        node = self.seen.nodes.get(pod.node)
        return pod.idle and node is not None and node.ready

    def given_up(self, worker: str) -> bool:
        """Silent for longer than the job waits for anybody."""
        record = self.records.get(worker)
        since = record.silent_since if record else 0.0
        return since > 0 and self.now - since > self.seen.job.spec.elastic.offline_grace_seconds

    def over(self, worker: str, pod_uid: str) -> bool:
        """Whether this pod of the worker will never be heard again."""
        pod = self.pods.get(pod_uid)
        return pod is None or pod.ended or self.given_up(worker)


@dataclass(frozen=True)
class GroupContext:
    """The same for one group: what its members say, what is remembered of it."""

    job: DecisionContext
    name: str

    @property
    def seen(self) -> Observed:
        return self.job.seen

    @property
    def now(self) -> float:
        return self.job.now

    @property
    def placement(self) -> Placement:
        return self.job.placement

    @property
    def records(self) -> Mapping[str, WorkerRecord]:
        """Of the workers that are of this group now."""
        return self.job.records_by_group.get(self.name, {})

    @property
    def stored(self) -> GroupRecord:
        return self.job.stored.group(self.name)

    @cached_property
    def plan(self) -> GroupPlan | None:
        return self.job.plan.find(self.name) if self.job.plan else None

    @cached_property
    def history(self) -> History:
        """The present one. status remembers it where the ConfigMap was lost."""
        told = self.told_before.generation if self.told_before else 1
        return History(self.job.lineage, self.name, self.plan.generation if self.plan else told)

    @property
    def told_before(self) -> GroupStatus | None:
        """What the job's status says of it. Before there were groups, all was said of the only one."""
        status = self.seen.job.status
        told = next((group for group in status.groups if group.name == self.name), None)
        if told is None and self.name == ALL and status.plan.revision:
            return GroupStatus(name=ALL, progress=status.progress)
        return told

    @property
    def plan_before(self) -> GroupPlan:
        """The one that there is, or what a first one changes."""
        return self.plan or GroupPlan(name=self.name, generation=self.history.generation)

    @cached_property
    def members(self) -> tuple[Member, ...]:
        return self.plan.members if self.plan else ()

    @cached_property
    def reports(self) -> GroupReports:
        return GroupReports(
            self.seen, self.records, self.history, self.stored.formation, self.plan, self.over
        )

    @cached_property
    def detached(self) -> bool:
        """Nobody of its members is heard."""
        return not self.reports.any_heard(m.worker for m in self.members)

    @property
    def pods(self) -> Mapping[str, PodView]:
        return self.job.pods

    def over(self, worker: str, pod_uid: str) -> bool:
        """Whether this pod of the worker will never be heard in this group again: it is over, or holds a
        plan by which it is of another one."""
        group, part = self.moved_to(worker), self.job.reports.training(worker)
        return (bool(group) and part is not None and part.group == group) or self.job.over(worker, pod_uid)

    def moved_to(self, worker: str) -> str:
        """The other group that this worker is of now; empty where it is of this one, or nothing is known."""
        record = self.job.records.get(worker)
        return record.group if record and record.group != self.name else ""

    def given_up(self, worker: str) -> bool:
        return self.job.given_up(worker)

    def node_of(self, worker: str) -> str:
        return self.job.node_of(worker)

    def with_node_names(self, text: str) -> str:
        return self.job.with_node_names(text)

    def told_of(self, text: str) -> str:
        """What is said of this group, with its name where there are several."""
        return text if self.name == ALL else f"group {self.name}: {text}"
