"""Breadth-first over all states that can be reached within a world's bounds."""

from collections import deque
from collections.abc import Callable
from dataclasses import dataclass

from tests.model.symmetry import Symmetry
from tests.model.world import State, Violation, World


@dataclass(frozen=True)
class Explored:
    states: int
    committed: int
    """Most steps committed in any state: an exploration in which nothing commits proves nothing."""


def explore(
    world: World,
    start: State,
    most: int = 2_000_000,
    *,
    hunt: bool = False,
    visit: Callable[[State], None] = lambda state: None,
) -> Explored:
    """Visit everything; to `hunt` is to follow each history to its end before the next. `visit` is called
    with each state.

    Raises:
        Violation: with a chain of events that leads to it, the shortest unless hunted.
    """
    # Without blocks the order in which things are numbered shows in states: all are told apart.
    canonical = Symmetry(world).canonical if world.bounds.blocks else _itself
    came: dict[State, tuple[State, str] | None] = {start: None}
    seen = {start}
    queue = deque([start])
    committed = 0
    while queue:
        state = queue.pop() if hunt else queue.popleft()
        visit(state)
        committed = max(committed, len(state.history))
        try:
            for event, found in world.successors(state):
                if found in seen:
                    continue
                seen.add(found)
                after = canonical(found)
                if after not in came:
                    came[after] = (state, event)
                    queue.append(after)
        except Violation as violation:
            violation.add_note("\n".join(_way(came, state)))
            raise
        assert len(came) <= most, "the bounds are too wide to explore"
    return Explored(len(came), committed)


def _way(came: dict[State, tuple[State, str] | None], state: State) -> list[str]:
    events: list[str] = []
    while (step := came[state]) is not None:
        state, event = step
        events.append(event)
    return events[::-1]


def _itself(state: State) -> State:
    return state
