"""Breadth-first over all states that can be reached within a world's bounds."""

from collections import deque
from collections.abc import Callable, Iterable
from dataclasses import dataclass
from typing import TypeVar

S = TypeVar("S")


class Violation(AssertionError):
    """The protocol did what it must never do."""


@dataclass(frozen=True)
class Explored:
    states: int
    committed: int
    """Most that was committed in any state: an exploration in which nothing commits proves nothing."""


def search(
    start: S,
    successors: Callable[[S], Iterable[tuple[str, S]]],
    canonical: Callable[[S], S],
    committed: Callable[[S], int],
    visit: Callable[[S], None],
    *,
    most: int,
    hunt: bool,
) -> Explored:
    """Visit everything; to `hunt` is to follow each history to its end before the next.

    `canonical` is the same for all states that are to be told for one; `visit` is called with each state.

    Raises:
        Violation: with a chain of events that leads to it, the shortest unless hunted.
    """
    came: dict[S, tuple[S, str] | None] = {start: None}
    seen = {start}
    queue = deque([start])
    furthest = 0
    while queue:
        state = queue.pop() if hunt else queue.popleft()
        visit(state)
        furthest = max(furthest, committed(state))
        try:
            for event, found in successors(state):
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
    return Explored(len(came), furthest)


def _way(came: dict[S, tuple[S, str] | None], state: S) -> list[str]:
    events: list[str] = []
    while (step := came[state]) is not None:
        state, event = step
        events.append(event)
    return events[::-1]


def itself(state: S) -> S:
    return state
