"""All histories of a group's votes within a world's bounds."""

from collections.abc import Callable

from tests.model.search import Explored, itself, search
from tests.model.symmetry import Symmetry
from tests.model.world import State, World


def explore(
    world: World,
    start: State,
    most: int = 2_000_000,
    *,
    hunt: bool = False,
    visit: Callable[[State], None] = lambda state: None,
) -> Explored:
    """
    Raises:
        Violation: see `search`.
    """
    # Without blocks the order in which things are numbered shows in states: all are told apart.
    canonical = Symmetry(world).canonical if world.bounds.blocks else itself
    return search(start, world.successors, canonical, lambda s: len(s.history), visit, most=most, hunt=hunt)
