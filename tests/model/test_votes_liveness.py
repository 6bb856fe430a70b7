"""From every state that the exploration reaches the group gets on, once faults end."""

import os
from dataclasses import replace

import pytest

from edgetrain.group.effects import formation_id
from edgetrain.group.members import Member
from edgetrain.group.said import Established
from edgetrain.group.status import PlanView, Stage
from edgetrain.link import messages as link
from edgetrain.link.messages import Decision
from tests.model.explore import explore
from tests.model.simulation import Simulation
from tests.model.sites import Trainer
from tests.model.world import HISTORY, Bounds, Node, State, World

DEEP = os.environ.get("EDGETRAIN_EXPLORE") == "deep"
EVERY = 1 if DEEP else 12
"""Of the states: all of them take minutes."""
WITHIN_SECONDS = 15.0


class Resumed(Simulation):
    """Supervisors and trainers as they stand in an explored state, with all connections just broken: what
    was on its way is lost, and every formation is left."""

    def __init__(self, world: World, state: State) -> None:
        self._world, self._state = world, state
        super().__init__(world.size)

    def begin(self, planned: int) -> None:
        founders = self.pods[: self._world.founders or self.size]
        line = tuple(pod.worker for pod in self.pods)
        self.plan = PlanView(HISTORY, 1, tuple(self.pods), line, tuple(founders))
        self.histories[HISTORY] = {
            step: self._state.history[:step] for step in range(1, len(self._state.history) + 1)
        }
        for index in range(self.size):
            self._put(index, self._world.node(self._state, index))

    def _put(self, index: int, node: Node) -> None:
        site, ballot = self.sites[index], node.ballot
        group, position = site.group, ballot.position
        assert ballot.member is not None
        last = left_last(node)
        stage = Stage.TRAINING if node.word else Stage.BROKEN if last else Stage.FRESH
        formation = last.formation.number if last else 0
        group.ballot = replace(ballot.withdraw(), pending=None, caller=None)
        group.ready(ballot.member, "layout", "")
        group.ballot = replace(ballot.withdraw(), pending=None, caller=None)
        group.word = node.word
        group.status = replace(group.status, stage=stage, formation=formation, committed=position.committed)
        trainer = Trainer(ballot.member, position, node.word or last)
        trainer.held = node.held
        trainer.content, trainer.whole = self._state.history[: position.committed], last is not None
        site.disk, site.trainer, site.starts = node.disk, trainer, node.starts + 100
        self.carry(index, group.on_plan(self.plan, 0.0))
        if node.word:
            broken = link.Broken(formation_id(node.word), position, "connection closed", [])
            self.carry(index, group.on_trainer(broken, 0.0))


def left_last(node: Node) -> Established | None:
    """The formation that its trainer is in, or has left: others are told that its connections are closed."""
    record, member = node.ballot.record, node.ballot.member
    formed = (record.base, *(a.formation for a in record.accepted if a.formed))
    last = next((f for f in reversed(formed) if member in f.members), None)
    return Established(HISTORY, last, last.members, Decision.NONE, 0) if last else None


def lost_for_good(world: World, state: State) -> bool:
    """Whether too few of a formation that counts can vote: that is for the operator, not for the group."""
    nodes = [world.node(state, index) for index in range(world.size)]
    living = frozenset(node.ballot.member for node in nodes if node.ballot.member is not None)
    records = [node.ballot.record for node in nodes]
    ended = frozenset(member for record in records for member in record.ended)
    return any(not world.rules.enough(f, living, ended) for f in world.rules.counted(records))


def called_by_newcomers(world: World, state: State) -> bool:
    """Whether one that has started anew has called a formation of such alone, which no policy does: it votes
    for nothing before it is asked in, and from then on is one of others."""
    records = [world.node(state, index).ballot.record for index in range(world.size)]
    base = {member for record in records for member in record.base.members}
    return any(not base.intersection(a.formation.members) for r in records for a in r.accepted)


@pytest.mark.parametrize(
    ("size", "bounds"),
    [
        (2, Bounds(calls=3, steps=2, blocks=True)),
        (3, Bounds(calls=2, steps=1, blocks=True)),
        (2, Bounds(calls=2, steps=1, ends=1, blocks=True)),
        (3, Bounds(calls=1, steps=1, ends=1, blocks=True)),
        (2, Bounds(calls=2, steps=1, blocks=True, witnesses=1)),
    ],
)
def test_from_every_state_a_step_is_committed(size: int, bounds: Bounds) -> None:
    world = World(size, bounds)
    states: list[State] = []
    explore(world, world.running(), visit=states.append)
    some = [state for state in states[::EVERY] if not called_by_newcomers(world, state)]
    asked = [state for state in some if not lost_for_good(world, state)]
    assert len(asked) > 10
    for state in asked:
        resumed = Resumed(world, state)
        step = resumed.step
        text = f"{[world.node(state, i) for i in range(size)]}"
        assert resumed.run(WITHIN_SECONDS, lambda r=resumed, s=step: r.step > s + 1), (resumed.logs, text)  # type: ignore[misc]


def test_members_are_numbered_as_in_the_exploration() -> None:
    world = World(2, Bounds(calls=1, steps=1))
    assert Resumed(world, world.running()).pods == list(world.pods)
    assert world.member(0) == Member("w0", "p0", "i0")
