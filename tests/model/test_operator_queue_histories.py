"""What holds for every history of a queue: jobs and nodes come and go, reconciles overlap, operators die."""

from hypothesis import HealthCheck, settings
from hypothesis import strategies as st
from hypothesis.stateful import RuleBasedStateMachine, initialize, invariant, precondition, rule

from edgetrain_operator.core.queues.sharing import STAY_SECONDS
from tests.support.queued_jobs import NODES, QueuedJobs
from tests.support.world import edge_node

NAMES = ("one", "two", "three")
ONE_OF = st.sampled_from(NAMES)


class Histories(RuleBasedStateMachine):
    """Each reconcile is one step, or two with others in between."""

    @initialize()
    def begin(self) -> None:
        self.fleet = QueuedJobs()

    @rule(name=ONE_OF, least=st.integers(1, 3), more=st.integers(0, 3), priority=st.integers(0, 1))
    def job_comes(self, name: str, least: int, more: int, priority: int) -> None:
        if name not in self.fleet.jobs:
            self.fleet.job(name, priority=priority, min=least, max=least + more)
            self.fleet.look(name)

    @rule(name=ONE_OF)
    def job_goes(self, name: str) -> None:
        if name in self.fleet.jobs:
            self.fleet.delete(name)

    @rule(name=ONE_OF, most=st.integers(0, 4))
    def scaled(self, name: str, most: int) -> None:
        if name in self.fleet.jobs and (most >= self._nodes(name)["min"] or most == 0):
            self._nodes(name)["max"] = most

    @rule(name=ONE_OF, suspend=st.booleans())
    def suspended(self, name: str, suspend: bool) -> None:
        if name in self.fleet.jobs:
            self.fleet.jobs[name].spec["suspend"] = suspend

    @rule(node=st.sampled_from(NODES), ready=st.booleans())
    def node_turns(self, node: str, ready: bool) -> None:
        self.fleet.nodes[node] = edge_node(node, ready=ready, ready_since=self.fleet.now)

    @rule(seconds=st.sampled_from([1.0, 20.0, STAY_SECONDS]))
    def time_passes(self, seconds: float) -> None:
        self.fleet.now += seconds

    @rule(name=ONE_OF)
    def looks(self, name: str) -> None:
        if name in self.fleet.jobs:
            self.fleet.look(name)

    @rule(name=ONE_OF)
    def begins_to_look(self, name: str) -> None:
        if name in self.fleet.jobs:
            self.fleet.begin(name)

    @rule(name=ONE_OF)
    def deleted_pods_end(self, name: str) -> None:
        if name in self.fleet.jobs:
            self.fleet.jobs[name].finish_deletions()

    @rule(name=ONE_OF, node=st.sampled_from(NODES))
    def pod_is_lost(self, name: str, node: str) -> None:
        if name in self.fleet.jobs and node in self.fleet.held(name):
            self.fleet.jobs[name].remove_pod(node)

    @rule()
    def another_operator_takes_over(self) -> None:
        self.fleet.take_over()

    @precondition(lambda self: self.fleet.jobs)
    @rule()
    def all_come_to_rest(self) -> None:
        self.fleet.settle()
        held = {name: self.fleet.held(name) for name in self.fleet.jobs}
        for name, nodes in held.items():
            assert len(nodes) <= self._nodes(name)["max"]
            assert not (nodes and self.fleet.jobs[name].spec.get("suspend"))
            if self.fleet.said(name).reason == "Queued":
                assert len(nodes) < self._nodes(name)["min"]
        self.fleet.settle()
        assert {name: self.fleet.held(name) for name in self.fleet.jobs} == held

    @invariant()
    def no_node_has_workers_of_two_jobs(self) -> None:
        pods = [pod for world in self.fleet.jobs.values() for pod in world.pods.values() if not pod.ended]
        assert len({pod.node for pod in pods}) == len(pods), pods

    def teardown(self) -> None:
        if self.fleet.jobs:
            self.all_come_to_rest()

    def _nodes(self, name: str) -> dict[str, int]:
        found: dict[str, int] = self.fleet.jobs[name].spec["nodes"]
        return found


TestHistories = Histories.TestCase
TestHistories.settings = settings(
    max_examples=30, stateful_step_count=20, deadline=None, suppress_health_check=list(HealthCheck)
)
