"""One decision's working view: what was observed, and what its earlier stages have made of it."""

from collections.abc import Mapping
from dataclasses import dataclass
from functools import cached_property

from edgetrain_operator.core.model import Observed, PodView
from edgetrain_operator.core.placement import Placement
from edgetrain_operator.core.report_view import ReportView
from edgetrain_operator.core.stored import StoredPlan, WorkerRecord
from edgetrain_protocol.plan import Member, Plan


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
    def plan(self) -> Plan | None:
        return self.stored.plan

    @property
    def lineage(self) -> int:
        """The present one. status remembers it where the ConfigMap was lost."""
        return self.plan.lineage if self.plan else max(self.seen.job.status.plan.lineage, 1)

    @cached_property
    def members(self) -> tuple[Member, ...]:
        return self.stored.members

    @cached_property
    def hearing(self) -> ReportView:
        return ReportView(self.seen, self.records, self.lineage, self.over)

    @cached_property
    def detached(self) -> bool:
        """Nobody of the plan's members is heard."""
        return not self.hearing.any_heard(m.worker for m in self.members)

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
