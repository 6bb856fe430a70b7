"""From every state that the exploration reaches an entry is committed soon, once faults end."""

import pytest

from edgetrain.rounds.council import CouncilMember, Tell
from edgetrain.rounds.succession import CALL_SECONDS, calls_at
from tests.model.council_world import CouncilBounds, CouncilState, CouncilWorld, next_body
from tests.model.search import search

STEP = CALL_SECONDS / 2
"""A message takes less, and so a call with its answers is over before the next one is due."""


class Resumed:
    """A council as it stands in an explored state; what was on its way is lost, and all hear one another."""

    def __init__(self, world: CouncilWorld, state: CouncilState) -> None:
        self.members = {f"w{i}": world.member(state, i) for i in range(world.size)}
        self.line = [name for name, member in self.members.items() if not member.witness]
        self.heard = {name for name, member in self.members.items() if not member.stranger}
        self.now = 0.0
        self.silent_since = dict.fromkeys(self.members, 0.0)

    @property
    def committed(self) -> int:
        return max(member.log.committed for member in self.members.values())

    def run(self, seconds: float, entries: int) -> bool:
        """Whether so many entries are committed in that time."""
        while self.now <= seconds:
            for name in self.line:
                if name in self.heard:
                    self._act(name)
            if self.committed >= entries:
                return True
            self.now += STEP
        return False

    def _act(self, name: str) -> None:
        member = self.members[name]
        if member.leads:
            self.members[name] = member.propose(next_body(member.log), "")
            for other in sorted(self.heard - {name}):
                self._pass_on(self.members[name].tell(other))
            return
        others = self.heard - {name}
        due = calls_at(name, self.line, others, len(self.members), self.silent_since[name])
        if due is not None and self.now >= due:
            self.silent_since[name] = self.now
            self.members[name], told = member.call(member.log.promised + 1)
            self._pass_on(told)

    def _pass_on(self, told: tuple[Tell, ...]) -> None:
        for to, message in told:
            if to in self.heard:
                before: CouncilMember = self.members[to]
                self.members[to], more = before.on_message(message)
                if self.members[to].log.promised > before.log.promised:
                    self.silent_since[to] = self.now
                self._pass_on(more)


@pytest.mark.parametrize(
    ("size", "witness", "bounds"),
    [
        (2, False, CouncilBounds(calls=3, proposals=0)),
        (3, False, CouncilBounds(calls=2, proposals=1, losses=1, by_terms=True)),
        (3, True, CouncilBounds(calls=2, proposals=1, by_terms=True)),
        (3, True, CouncilBounds(calls=2, proposals=0, cuts=1, by_terms=True)),
        (4, True, CouncilBounds(calls=2, proposals=0, by_terms=True)),
    ],
)
def test_from_every_state_an_entry_is_committed(size: int, witness: bool, bounds: CouncilBounds) -> None:
    world = CouncilWorld(size, bounds, witness=witness)
    states: list[CouncilState] = []
    search(
        world.founding(),
        world.successors,
        world.canonical,
        lambda state: len(state.history),
        states.append,
        most=100_000,
        hunt=False,
    )
    able = [resumed for state in states if 2 * len((resumed := Resumed(world, state)).heard) > size]
    assert len(able) > 100
    for resumed in able:
        before = resumed.committed
        # A superseded lead finds that out, then two calls: one is refused, and brings what the caller lacks.
        assert resumed.run(4 * CALL_SECONDS, before + 1), resumed.members
