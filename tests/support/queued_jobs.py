"""Jobs of one queue in memory: each decided as by its own reconcile, with what the queue leaves to it."""

from dataclasses import replace
from typing import Any

from edgetrain_operator.core.actions import Decision
from edgetrain_operator.core.decide import decide
from edgetrain_operator.core.model import Observed
from edgetrain_operator.runtime.queues import Queues
from edgetrain_protocol.status import Condition, ConditionType
from tests.support.world import START, World, edge_node

NODES = ("a", "b", "c", "d")
ROUNDS = 40


class QueuedJobs:
    """Several jobs, and the nodes that all of them ask for."""

    def __init__(self, *shared: str) -> None:
        self.now = START
        self.nodes = {name: edge_node(name) for name in NODES}
        self.jobs: dict[str, World] = {}
        self.created: dict[str, float] = {}
        self.begun: dict[str, Decision] = {}
        """Reconciles that have decided and done nothing yet."""
        self.woken: set[str] = set()
        self.shared = shared
        self.take_over()

    def take_over(self) -> None:
        """Another process begins, which knows nothing but what jobs there are."""
        self.begun.clear()
        self.queues = Queues(self.shared, lambda: self.now)
        self.queues.on_change(lambda key: self.woken.add(key[1]))
        for name, world in self.jobs.items():
            self.queues.expect(("default", name), world.spec["scheduling"]["queue"])

    def job(self, name: str, queue: str = "fleet", priority: int = 0, **nodes: Any) -> World:
        scheduling = {"queue": queue, "priority": priority}
        self.jobs[name] = World(spec={"scheduling": scheduling, "nodes": nodes})
        self.created[name] = START + len(self.created)
        return self.jobs[name]

    def delete(self, name: str) -> None:
        """With its pods."""
        del self.jobs[name], self.created[name]
        self.begun.pop(name, None)
        self.woken.discard(name)
        self.queues.drop(("default", name))

    def look(self, *names: str) -> None:
        """One reconcile each."""
        for name in names:
            self.begin(name)
            self.finish(name)

    def begin(self, name: str) -> None:
        """The first half of one: what is there, and what follows."""
        self.finish(name)  # Never two of one job at a time.
        self.woken.discard(name)
        world = self.jobs[name]
        world.now, world.nodes = self.now, self.nodes
        world.grant = self.queues.grant(self.observed(name))
        self.begun[name] = decide(world.observed())

    def finish(self, name: str) -> None:
        """The second half: that is done."""
        decision, world = self.begun.pop(name, None), self.jobs[name]
        if decision is not None:
            world.carry_out(decision)
            if world.grant is not None:
                self.queues.told(("default", name), world.grant)

    def observed(self, name: str) -> Observed:
        seen = self.jobs[name].observed()
        return replace(seen, job=replace(seen.job, name=name, created=self.created[name]))

    def settle(self) -> None:
        """Until nobody is woken by another any more; deleted pods end."""
        self.woken = set(self.jobs)
        for _ in range(ROUNDS):
            for name in sorted(self.woken):
                self.look(name)
                if any(pod.deleting for pod in self.jobs[name].pods.values()):
                    self.jobs[name].finish_deletions()
                    self.woken.add(name)
            if not self.woken:
                return
        raise AssertionError(f"does not settle: {self.woken}")

    def train(self, name: str) -> None:
        for node in self.held(name):
            self.jobs[name].say(node)
        self.settle()
        self.jobs[name].train(*self.held(name))
        self.settle()

    def held(self, name: str) -> str:
        return "".join(sorted(pod.node for pod in self.jobs[name].pods.values() if pod.living))

    def said(self, name: str) -> Condition:
        return self.jobs[name].condition(ConditionType.SCHEDULED)
