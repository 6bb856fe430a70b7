"""Breadth-first over all states that can be reached within a world's bounds."""

from collections import deque
from dataclasses import dataclass

from tests.model.world import State, Violation, World


@dataclass(frozen=True)
class Explored:
    states: int
    committed: int
    """Most steps committed in any state: an exploration in which nothing commits proves nothing."""


def explore(world: World, start: State, most: int = 2_000_000) -> Explored:
    """Visit everything.

    Raises:
        Violation: with the shortest chain of events that leads to it.
    """
    came: dict[State, tuple[State, str] | None] = {start: None}
    queue = deque([start])
    committed = 0
    while queue:
        state = queue.popleft()
        committed = max(committed, len(state.history))
        try:
            for event, after in world.successors(state):
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
