"""What holds for every history of a job that queues: Kueue gives and takes, people change their minds."""

from hypothesis import HealthCheck, settings
from hypothesis import strategies as st
from hypothesis.stateful import RuleBasedStateMachine, initialize, precondition, rule

from edgetrain_operator.core.actions import Create, Decision, DeleteWorkload, PatchWorkload
from edgetrain_operator.core.kueue.hold import active
from edgetrain_operator.core.kueue.workload import ADMITTED, EVICTED, WorkloadView, workload_view
from tests.support.workloads import admit, evict, pod_set, queued
from tests.support.world import edge_node

NODES = ("a", "b", "c")


class Queues(RuleBasedStateMachine):
    """Every rule is followed by one decision, which is carried out."""

    @initialize()
    def begin(self) -> None:
        self.world = queued(*NODES)

    @precondition(lambda self: self._pending())
    @rule(data=st.data())
    def kueue_admits(self, data: st.DataObject) -> None:
        asked = pod_set(self.world)
        admit(self.world, data.draw(st.integers(asked["minCount"], asked["count"])))
        self._decide()

    @precondition(lambda self: self._reserved())
    @rule(reason=st.sampled_from(["Preempted", "PodsReadyTimeout"]))
    def kueue_evicts(self, reason: str) -> None:
        evict(self.world, reason)
        self._decide()

    @rule(suspend=st.booleans(), least=st.integers(1, 2), most=st.integers(2, 3))
    def person_changes(self, suspend: bool, least: int, most: int) -> None:
        nodes = {"min": least, "max": most}
        self.world.spec = self.world.spec | {"suspend": suspend, "nodes": nodes}
        self._decide()

    @rule(queue=st.sampled_from(["team-a", "team-b"]))
    def person_moves_it(self, queue: str) -> None:
        self.world.queue = queue
        self._decide()

    @rule(node=st.sampled_from(NODES), ready=st.booleans())
    def node_turns(self, node: str, ready: bool) -> None:
        self.world.nodes[node] = edge_node(node, ready=ready, ready_since=self.world.now)
        self._decide()

    @rule(node=st.sampled_from(NODES), phase=st.sampled_from(["Running", "Succeeded", "Failed"]))
    def pod_turns(self, node: str, phase: str) -> None:
        if any(pod.node == node and not pod.ended for pod in self.world.pods.values()):
            self.world.change_pod(node, phase=phase, ready=phase == "Running")
            self._decide()

    @rule()
    def deletions_finish(self) -> None:
        self.world.finish_deletions()
        self._decide()

    @rule(seconds=st.sampled_from([1.0, 40.0, 300.0]))
    def time_passes(self, seconds: float) -> None:
        self.world.pass_time(seconds)
        self._decide()

    def _view(self) -> WorkloadView | None:
        return workload_view(self.world.workload) if self.world.workload else None

    def _reserved(self) -> bool:
        view = self._view()
        return view is not None and view.reserved

    def _pending(self) -> bool:
        view = self._view()
        return view is not None and not view.reserved

    def _decide(self) -> None:
        seen, before = self.world.observed(), self._view()
        holds = any(active(seen, pod) for pod in seen.pods)
        decision = self.world.step()
        self._pods_have_quota(decision, before)
        own = [a for a in decision.actions if isinstance(a, DeleteWorkload | PatchWorkload)]
        assert len(own) <= 1, "each rests on what was seen"
        after = self._view()
        given_back = before is not None and before.reserved and not (after is not None and after.reserved)
        assert not (given_back and holds), "a pod that runs has its quota"

    def _pods_have_quota(self, decision: Decision, before: WorkloadView | None) -> None:
        made = sum(isinstance(a, Create) and a.kind == "Pod" for a in decision.actions)
        living = sum(pod.living for pod in self.world.pods.values())
        if not made:
            return
        assert before is not None and before.holds(ADMITTED) and not before.holds(EVICTED)
        assert before.queue == self.world.queue and not self.world.spec.get("suspend")
        assert living <= (before.granted or 0) - before.given_back


TestQueues = Queues.TestCase
TestQueues.settings = settings(
    max_examples=40, stateful_step_count=20, deadline=None, suppress_health_check=[HealthCheck.too_slow]
)
