"""A job from its making to its deletion, looked after by operators that may die, be replaced or meet
faults.
"""

import asyncio
import uuid
from collections import Counter
from collections.abc import Awaitable, Callable, Mapping
from contextlib import suppress
from dataclasses import dataclass, field
from datetime import UTC, datetime
from typing import Any

from edgetrain_operator.fleet.keyring import ensure
from edgetrain_operator.kube.client import Kube
from edgetrain_operator.kube.errors import KubeError
from edgetrain_operator.runtime.keyring_store import SecretKeyring
from tests.support.job_state import State, doubled, events_of, state_of
from tests.support.job_world import NAME, JobWorld
from tests.support.replicas import DEFAULTS, Crash, FailingKube, Replica, Send
from tests.support.struck import Strike

LOOKS, ROUNDS = 40, 40
"""At most, until an operator has nothing to write, and until nothing changes any more."""
CALM_SECONDS = 16.0
"""That nothing changes for, in the end: after a take-over silence says something only then. The API server's
clock goes on meanwhile as it does, by which pods grow old before they start; so no longer than needed."""

ACTS: Mapping[str, Callable[[JobWorld], Awaitable[None]]] = {
    "made": lambda world: world.submit(),
    "a node gone": lambda world: world.leave("edge-b"),
    "the node back": lambda world: world.join("edge-b"),
    "suspended": lambda world: world.suspend(True),
    "resumed": lambda world: world.suspend(False),
    "deleted": lambda world: world.withdraw(),
}


@dataclass
class Lived:
    """What came of a story."""

    states: dict[str, State] = field(default_factory=dict)
    """After each act."""
    events: Counter[str] = field(default_factory=Counter)
    doubled: list[str] = field(default_factory=list)
    """Children of which there was more than one, and plans of one revision that differ."""

    def told_beyond(self, usual: "Lived") -> list[str]:
        """What was told more often than in the other; of what went wrong in this one alone, once is usual."""
        return [what for what, count in self.events.items() if count > max(usual.events[what], 1)]


class Story:
    def __init__(
        self, kube: FailingKube, strike: Strike, jumps: Mapping[str, float] | None = None, pair: bool = False
    ) -> None:
        """
        Args:
            jumps: seconds by which the operator's clock jumps before an act.
            pair: two operators lead, all the time.
        """
        self._kube, self._strike, self._jumps, self._pair = kube, strike, jumps or {}, pair
        self._second: Replica | None = None
        self.by_the_clock = not self._jumps
        self.world = JobWorld(Kube(kube._api), f"story-{uuid.uuid4().hex[:10]}")
        self._operator: Replica | None = None

    async def live(self) -> Lived:
        lived = Lived()
        await self.world.begin("edge-a", "edge-b")
        for name, act in ACTS.items():
            self.world.now += self._jumps.get(name, 0.0)
            await act(self.world)
            await self.settle()
            lived.states[name] = await state_of(self.world)
            lived.doubled += doubled(lived.states[name])
        lived.events = await events_of(self.world)
        lived.doubled += _forks(self.world)
        return lived

    async def settle(self) -> None:
        """Until neither the operator nor a worker does anything, however long one waits."""
        calm: Replica | None = None
        for _ in range(ROUNDS):
            operator = await self.reconcile()
            if await self.world.react(operator.fleet):
                calm = None
            elif calm is operator:
                return
            else:
                calm = operator
                await self._pass_time(operator)
        raise AssertionError("it does not settle")

    async def _pass_time(self, operator: Replica) -> None:
        self.world.now += CALM_SECONDS
        for memory in operator.reconciler.memory.held():
            memory.status_written = float("-inf")
        await self.world.react(operator.fleet)

    async def reconcile(self) -> Replica:
        """Until an operator has nothing to write; returns the one that is left."""
        for _ in range(LOOKS):
            before = self._strike.writes
            _, done = await asyncio.gather(self._look_too(), self._look())
            if done and self._strike.writes == before and not self._waits():
                assert self._operator
                return self._operator
        raise AssertionError("the operator does not come to an end")

    async def _look(self) -> bool:
        """One look of whichever operator there is; whether it came through."""
        try:
            operator = self._operator = self._operator or await self._start()
            await self._reconcile(operator)
        except Crash:
            self._operator = None
            return False
        except KubeError:
            return False
        return True

    async def _look_too(self) -> None:
        if self._pair:
            with suppress(KubeError):
                self._second = self._second or await self._start()
                self._second.fleet.said = self._operator.fleet.said if self._operator else {}
                await self._reconcile(self._second)

    async def _reconcile(self, operator: Replica) -> None:
        await operator.look()
        await operator.reconciler.reconcile((self.world.namespace, NAME))

    async def _start(self) -> Replica:
        """A new process, which knows nothing."""
        kube = FailingKube(self._kube._api)
        kube.around = self._strike.around
        await ensure(SecretKeyring(kube, self.world.namespace, "keyring"), datetime.now(UTC))
        return Replica(kube, self.world.fleet(), DEFAULTS, lambda: self.world.now)

    def _waits(self) -> bool:
        """Whether it waits for a refusal to pass, which is passed over."""
        assert self._operator
        held = self._operator.reconciler.memory.held()
        due = max((r.retry_at for memory in held for r in memory.refusals.values()), default=0.0)
        waits = due > self.world.now
        self.world.now = max(self.world.now, due)
        return waits

    async def overtaken(self, send: Send) -> Any:
        """A fault: another leads meanwhile and does all there is to do; then this one goes on."""
        self._operator = None
        await self.reconcile()
        return await send()


def _forks(world: JobWorld) -> list[str]:
    served = [plan for plans in world.plans.values() for plan in plans]
    differing = Counter(
        (lineage, revision)
        for lineage, revision, _ in {(plan.lineage, plan.revision, plan.model_dump_json()) for plan in served}
    )
    return [f"plan {lineage}/{revision}" for (lineage, revision), count in differing.items() if count > 1]
