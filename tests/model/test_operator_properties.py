"""What holds for every history of a job: nodes that come, go and flap, pods that end, reports that stop."""

from hypothesis import HealthCheck, settings
from hypothesis import strategies as st
from hypothesis.stateful import RuleBasedStateMachine, initialize, invariant, precondition, rule

from edgetrain_operator.core.actions import Create, DeletePod
from edgetrain_operator.core.decide import decide
from edgetrain_operator.core.naming import worker_name
from edgetrain_operator.core.stored import StoredPlan
from edgetrain_protocol.plan import Phase
from edgetrain_protocol.report import TrainerState
from tests.support.world import World, edge_node

NODES = ("a", "b", "c", "d")
MAX = 3
STATES = st.sampled_from([TrainerState.STARTING, TrainerState.WAITING, TrainerState.PAUSED])


class Histories(RuleBasedStateMachine):
    """Every rule is followed by one decision, carried out in full or cut off by a crash."""

    @initialize(least=st.integers(1, 2))
    def begin(self, least: int) -> None:
        self.world = World.of(*NODES, nodes={"min": least, "max": MAX})
        self.names: dict[str, str] = {}
        self.revision = 0
        self.generation = 0

    @rule(node=st.sampled_from(NODES), ready=st.booleans())
    def node_turns(self, node: str, ready: bool) -> None:
        self.world.nodes[node] = edge_node(node, ready=ready, ready_since=self.world.now)
        self._decide()

    @rule(node=st.sampled_from(NODES), there=st.booleans())
    def node_object(self, node: str, there: bool) -> None:
        if there:
            self.world.nodes.setdefault(node, edge_node(node))
        else:
            self.world.nodes.pop(node, None)
        self._decide()

    @rule(seconds=st.sampled_from([0.5, 3.0, 20.0, 700.0]))
    def time_passes(self, seconds: float) -> None:
        self.world.pass_time(seconds)
        self._decide()

    @rule(node=st.sampled_from(NODES), state=STATES)
    def worker_reports(self, node: str, state: TrainerState) -> None:
        if self._has_pod(node):
            self.world.say(node, state)
            self._decide()

    @precondition(lambda self: self.world.stored.plan and self.world.stored.plan.groups)
    @rule(data=st.data(), number=st.integers(1, 9))
    def group_reports(self, data: st.DataObject, number: int) -> None:
        nodes = [n for n in self.world.members if self._has_pod(n)]
        if nodes:
            inside = data.draw(st.lists(st.sampled_from(nodes), min_size=1, unique=True))
            lost = tuple(n for n in nodes if n not in inside)
            self.world.train(*inside, number=number, lost=lost)
            self._decide()

    @rule(node=st.sampled_from(NODES), phase=st.sampled_from(["Failed", "gone"]))
    def pod_ends(self, node: str, phase: str) -> None:
        if self._has_pod(node) and phase == "gone":
            self.world.remove_pod(node)
        elif self._has_pod(node):
            self.world.change_pod(node, phase=phase)
        self._decide()

    @rule()
    def deletions_finish(self) -> None:
        self.world.finish_deletions()
        self._decide()

    @rule(excluded=st.lists(st.sampled_from(NODES), unique=True, max_size=2))
    def exclude(self, excluded: list[str]) -> None:
        self.world.spec = {"nodes": self.world.spec["nodes"] | {"exclude": excluded}}
        self._decide()

    @rule(done=st.integers(0, 3))
    def crash_in_the_middle(self, done: int) -> None:
        self.world.carry_out(decide(self.world.observed()), actions=done)

    @rule()
    def take_over(self) -> None:
        self.world.reports.clear()
        self.world.since = self.world.now
        self._decide()

    def _has_pod(self, node: str) -> bool:
        return any(pod.node == node for pod in self.world.pods.values())

    def _decide(self) -> None:
        decision = self.world.step()
        for action in decision.actions:
            assert action.reason
            if isinstance(action, DeletePod):
                pod = self.world.pods[action.uid]
                node = self.world.nodes.get(pod.node)
                assert (
                    node is None or node.ready or "exclude" in action.reason or self._other_reason(action)
                ), action

    def _other_reason(self, action: DeletePod) -> bool:
        return any(word in action.reason for word in ("max", "place", "no longer match", "offlineGrace"))

    @invariant()
    def settles(self) -> None:
        """The same observations lead nowhere after a few decisions, and the last of them does nothing."""
        decision = self.world.settle()
        assert not any(isinstance(action, Create | DeletePod) for action in decision.actions), decision.reason
        assert decision.events == decision.status_events == ()

    @invariant()
    def no_more_pods_than_asked_for(self) -> None:
        living = [pod.node for pod in self.world.pods.values() if pod.living]
        assert len(living) == len(set(living)) <= MAX

    @invariant()
    def no_name_twice(self) -> None:
        for pod in self.world.pods.values():
            assert self.names.setdefault(pod.name, pod.uid) == pod.uid

    @invariant()
    def plans_go_forward(self) -> None:
        if self.world.stored.plan:
            plan = self.world.plan
            assert plan.revision >= self.revision and plan.generation >= self.generation
            self.revision, self.generation = plan.revision, plan.generation
            enough = len(self.world.members) >= self.world.spec["nodes"]["min"]
            assert enough or plan.phase is Phase.WAIT

    @invariant()
    def the_document_survives_writing(self) -> None:
        assert StoredPlan.from_wire(self.world.stored.to_document()) == self.world.stored


class Darkness(RuleBasedStateMachine):
    """Nodes turn NotReady and reports stop, in every order: that alone takes no member and no pod."""

    @initialize()
    def begin(self) -> None:
        self.world = World.of(*NODES)
        self.world.settle()
        for node in NODES:
            self.world.say(node)
        self.world.settle()
        self.world.train(*NODES)
        self.world.settle()
        self.plan, self.pods = self.world.plan, set(self.world.pods)

    @rule(node=st.sampled_from(NODES))
    def goes_dark(self, node: str) -> None:
        self.world.nodes[node] = edge_node(node, ready=False)
        self.world.step()

    @rule(nodes=st.lists(st.sampled_from(NODES), unique=True), seconds=st.sampled_from([1.0, 6.0, 100.0]))
    def some_are_heard(self, nodes: list[str], seconds: float) -> None:
        self.world.pass_time(seconds)
        before = dict(self.world.reports)
        self.world.train(*NODES)
        silent = {worker_name(node) for node in NODES if node not in nodes}
        for worker in silent & before.keys():
            self.world.reports[worker] = before[worker]
        self.world.step()

    @rule(node=st.sampled_from(NODES))
    def the_operator_is_new(self, node: str) -> None:
        self.world.reports.pop(worker_name(node), None)
        self.world.since = self.world.now
        self.world.step()

    @invariant()
    def nothing_is_lost(self) -> None:
        assert self.world.plan == replace_revision(self.world.plan, self.plan)
        assert set(self.world.pods) == self.pods
        assert all(pod.living for pod in self.world.pods.values())


def replace_revision(now: object, then: object) -> object:
    """Members, aggregator and lineage as they were; addresses and revisions may have moved."""
    return then.model_copy(update={"revision": now.revision})  # type: ignore[attr-defined]


QUICK = settings(
    max_examples=30, stateful_step_count=20, deadline=None, suppress_health_check=list(HealthCheck)
)
TestHistories = Histories.TestCase
TestHistories.settings = QUICK
TestDarkness = Darkness.TestCase
TestDarkness.settings = QUICK
