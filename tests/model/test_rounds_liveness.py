"""From every state that the exploration reaches all data are merged and the end is written, once faults
end."""

from collections.abc import Iterator
from dataclasses import replace

import pytest

from tests.model.crew import Crew
from tests.model.rounds_world import RoundsBounds, RoundsState, RoundsWorld
from tests.model.search import itself, search

EVENTS = 60
"""Of all groups and the lead together: six a position, and those in hand."""


def lost_for_good(world: RoundsWorld, state: RoundsState) -> bool:
    """Whether a group on the books has no member: that is for the operator."""
    books = world.folded(state.log)
    crews: list[Crew] = [world.thing(number) for number in state.crews]
    return any(books.has(crew.history) and not crew.living for crew in crews)


def goes_on(world: RoundsWorld, state: RoundsState) -> Iterator[RoundsState]:
    """What comes of doing, again and again, the first thing that can be done and was not done before: every
    choice is as good as any other, so nothing has to be waited for that never comes."""
    been = {state}
    for _ in range(EVENTS):
        state = next((after for _, after in world.successors(state) if after not in been), state)
        been.add(state)
        yield state


@pytest.mark.parametrize(
    "bounds",
    [
        RoundsBounds(3),
        RoundsBounds(2, leads=1, settings=1),
        RoundsBounds(2, leads=1, shards=2, staged=True),
        RoundsBounds(2, mates=2, breaks=1, crashes=1, turn_by_turn=True),
        RoundsBounds(2, mates=2, regroups=1),
        RoundsBounds(2, crashes=1, regroups=1),
        RoundsBounds(1, resumptions=1, leads=1),
        RoundsBounds(1, mates=2, crashes=1, shards=2, staged=True),
    ],
    ids=str,
)
def test_from_every_state_the_end_is_reached(bounds: RoundsBounds) -> None:
    world = RoundsWorld(bounds)
    states: list[RoundsState] = []
    search(
        world.start(), world.successors, itself, lambda s: len(s.log), states.append, most=500_000, hunt=False
    )
    world.bounds = replace(bounds, leads=0, breaks=0, crashes=0, regroups=0, settings=0, resumptions=0)
    able = [state for state in states[:: len(states) // 200 or 1] if not lost_for_good(world, state)]
    assert len(able) > 30
    for state in able:
        assert any(world.folded(after.log).last for after in goes_on(world, state)), state
