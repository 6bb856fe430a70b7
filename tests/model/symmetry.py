"""Pods other than w0 are alike: states that differ only by their names are told for one."""

from dataclasses import fields, is_dataclass, replace
from itertools import permutations
from typing import Any

from msgspec import Struct, structs

from edgetrain.group.members import Member
from edgetrain.group.rules import Rules
from tests.model.numbers_of import Numbers
from tests.model.world import State, World

Renaming = tuple[int, ...]
"""New number of each pod, by its old one."""


class Symmetry:
    def __init__(self, world: World) -> None:
        self._world = world
        rest = range(1, world.size)
        self._renamings: list[Renaming] = [(0, *order) for order in permutations(rest)]
        self._thing = Renamed(world)

    def canonical(self, state: State) -> State:
        """The same for all states that differ by names only."""
        images = [(self._nodes(renaming, state), renaming) for renaming in self._renamings]
        least = min(nodes for nodes, _ in images)
        choices = [self._image(renaming, nodes, state) for nodes, renaming in images if nodes == least]
        return choices[0] if len(choices) == 1 else min(choices, key=_order)

    def _nodes(self, renaming: Renaming, state: State) -> tuple[int, ...]:
        nodes = [0] * len(renaming)
        for old, new in enumerate(renaming):
            nodes[new] = self._thing(renaming, state.nodes[old])
        return tuple(nodes)

    def _image(self, renaming: Renaming, nodes: tuple[int, ...], state: State) -> State:
        facts = ((w, self._thing(renaming, f), step, renaming[pod]) for w, f, step, pod in state.facts)
        messages = ((renaming[pod], self._thing(renaming, number)) for pod, number in state.messages)
        history = self._world.thing(self._thing(renaming, self._world.number(state.history)))
        return state._replace(
            nodes=nodes, facts=frozenset(facts), messages=frozenset(messages), history=history
        )


class Renamed:
    """The number of a thing once all are renamed in it."""

    def __init__(self, numbers: Numbers) -> None:
        self._numbers = numbers
        self._memo: dict[tuple[Renaming, int], int] = {}

    def __call__(self, renaming: Renaming, number: int) -> int:
        key = (renaming, number)
        if key not in self._memo:
            self._memo[key] = self._numbers.number(_rename(renaming, self._numbers.thing(number)))
        return self._memo[key]


def _rename(renaming: Renaming, thing: Any) -> Any:
    if isinstance(thing, str):
        return thing[0] + str(renaming[int(thing[1:])]) if thing[:1] in ("w", "p") and thing[1:] else thing
    if isinstance(thing, Rules) or thing is None:
        return thing
    if is_dataclass(thing) and not isinstance(thing, type):
        changes = {f.name: _rename(renaming, getattr(thing, f.name)) for f in fields(thing)}
        return replace(thing, **changes)
    if isinstance(thing, Struct):
        changes = {name: _rename(renaming, getattr(thing, name)) for name in thing.__struct_fields__}
        return structs.replace(thing, **changes)
    if isinstance(thing, tuple) and hasattr(thing, "_fields"):
        return type(thing)(*(_rename(renaming, part) for part in thing))
    if isinstance(thing, tuple):
        parts = [_rename(renaming, part) for part in thing]
        # Ranks mean nothing to the votes: members are named in order.
        return tuple(sorted(parts) if parts and all(isinstance(p, Member) for p in parts) else parts)
    if isinstance(thing, frozenset):
        return frozenset(_rename(renaming, part) for part in thing)
    return thing


def _order(state: State) -> Any:
    return sorted(state.facts), sorted(state.messages), [sorted(step) for step in state.history]
