"""From every state that the exploration reaches an entry is committed soon, once faults end."""

from collections.abc import Callable
from functools import partial

import pytest
from msgspec.structs import replace

from edgetrain.rounds.council import CouncilMember, Leading, Tell
from edgetrain.rounds.entries import Body
from edgetrain.rounds.succession import CALL_SECONDS, calls_at
from edgetrain_operator.core.council import SOME_GROUPS, Candidate, CouncilView, next_change
from edgetrain_operator.core.council_lost import Standing, is_lost
from tests.model.council_world import CouncilBounds, CouncilState, CouncilWorld, next_body
from tests.model.search import search

STEP = CALL_SECONDS / 2
"""A message takes less, and so a call with its answers is over before the next one is due."""


class Resumed:
    """A council as it stands in an explored state; what was on its way is lost, and all hear one another. The
    operator decides who is to be in it."""

    def __init__(self, world: CouncilWorld, state: CouncilState) -> None:
        members = {i: world.member(state, i) for i in range(world.size)}
        self.gone = frozenset(members[i].name for i in state.gone)
        self.members = {member.name: member for member in members.values() if member.name not in self.gone}
        self.witness = next((m.name for m in self.members.values() if m.witness), "")
        self.now = 0.0
        self.silent_since = dict.fromkeys(self.members, 0.0)

    @property
    def lost(self) -> bool:
        """As the operator judges, by what those who are left report."""
        standings = [
            Standing(m.name, (m.log.last.term, m.log.last.index), m.council, not m.witness, m.changes)
            for m in self.members.values()
        ]
        return is_lost(standings, self.gone)

    def site(self, name: str) -> str:
        """Where there is a witness, there are two."""
        return "xy"[int(name[1:]) % 2] if self.witness else "x"

    @property
    def committed(self) -> int:
        return max(member.log.committed for member in self.members.values())

    @property
    def whole(self) -> bool:
        """Whether those who are in it, by what is committed, are who is to be: three at most, or of two sites
        two, and a witness where they are two."""
        most = max(self.members.values(), key=lambda m: (m.log.committed, not m.witness))
        council = most.log.council(most.log.committed)
        holders = [member for member in self.members.values() if not member.witness]
        sites = {self.site(member.name) for member in holders}
        wanted = min(2 if len(sites) == 2 else 3, len(holders))
        odd = council.witness == (self.witness if wanted == 2 else "")
        return len(council.holders - self.gone) == len(council.holders) == wanted and odd

    def run(self, seconds: float, enough: Callable[[], bool]) -> bool:
        """Whether that is so within this time."""
        while self.now <= seconds:
            for name in self.members:
                self._act(name)
            if enough():
                return True
            self.now += STEP
        return False

    def _act(self, name: str) -> None:
        member = self.members[name]
        if isinstance(member.part, Leading):
            self.members[name] = member.propose(self._next(member, member.part), "")
            for other in sorted(self.members.keys() - {name}):
                self._pass_on(self.members[name].tell(other))
            return
        council = member.rules.council(member.log)
        if member.witness or name not in council.holders:
            return
        line, others = sorted(council.holders), (council.members & self.members.keys()) - {name}
        due = calls_at(name, line, others, len(council.members), self.silent_since[name])
        if due is not None and self.now >= due:
            self.silent_since[name] = self.now
            self.members[name], told = member.call(member.log.promised + 1, self.members)
            self._pass_on(told)

    def _next(self, lead: CouncilMember, part: Leading) -> Body:
        """What the operator decides by what the lead says of itself, once it may be written."""
        now = lead.log.council(lead.log.committed)
        line = tuple(
            Candidate(
                name, self.site(name), True, name == lead.name or part.up_to(name) >= lead.log.committed
            )
            for name, member in self.members.items()
            if not member.witness
        )
        view = CouncilView(
            lead.name, now.holders, now.witness, line, self.gone, SOME_GROUPS, operator=self.witness
        )
        if (change := next_change(view)) is None:
            return next_body(lead.log)
        if change.add == self.witness != "":
            after = replace(now, witness=change.add)
        elif change.remove == now.witness != "":
            after = replace(now, witness="")
        else:
            after = replace(now, holders=(now.holders | ({change.add} - {""})) - {change.remove})
        return after if lead.may_change(after) else next_body(lead.log)

    def beyond(self, entries: int) -> bool:
        return self.committed > entries

    def _pass_on(self, told: tuple[Tell, ...]) -> None:
        for to, message in told:
            if to in self.members:
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
        (2, False, CouncilBounds(calls=2, proposals=0, changes=1, newcomers=1, most=1, by_terms=True)),
        (2, False, CouncilBounds(calls=1, proposals=0, changes=1, losses=1, newcomers=1, by_terms=True)),
        (3, False, CouncilBounds(calls=1, proposals=0, losses=1, newcomers=1, by_terms=True)),
        (3, True, CouncilBounds(calls=1, proposals=0, losses=1, newcomers=1, by_terms=True)),
    ],
)
def test_from_every_state_an_entry_is_committed_or_the_operator_knows_that_none_ever_is(
    size: int, witness: bool, bounds: CouncilBounds
) -> None:
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
    assert len(states) > 100
    for place, resumed in enumerate(Resumed(world, state) for state in states):
        if resumed.lost:
            assert place % 5 or not resumed.run(6 * CALL_SECONDS, partial(resumed.beyond, resumed.committed))
            continue
        # A superseded lead finds that out, then two calls: one is refused, and brings what the caller lacks.
        assert resumed.run(4 * CALL_SECONDS, partial(resumed.beyond, resumed.committed)), resumed.members
        if not place % 30:
            assert resumed.run(20 * CALL_SECONDS, partial(getattr, resumed, "whole")), resumed.members
