"""What the aggregator's envoy proposes, on every member of the formation: bytes, and a version of the model
where it is to be applied."""

from dataclasses import dataclass, field

import torch

from edgetrain.engine.formation.commit_vote import NUMBERS
from edgetrain.engine.formation.gloo import GroupBroken
from edgetrain.engine.formation.reducer import Reducer

MARK = 0x4D45524745
"""In the second place of a row: a member that is at numbers of its program's does not take it for them."""


@dataclass
class Told:
    """Of one step; nothing before it has come, and where nothing is proposed."""

    text: bytes = b""
    version: torch.Tensor = field(default_factory=lambda: torch.empty(0))
    """In fp32; empty where none is to be applied."""


def tell(reducer: Reducer, step: int, own: Told, hub: int, into: Told) -> None:
    """Fill `into` with what rank `hub` has.

    Raises:
        GroupBroken: the group failed, or somebody is at another kind of step.
    """
    # A row as long as a vote, first: should a member be at another kind of step, it reads one for the other.
    sizes = [len(own.text), own.version.numel()]
    rows = reducer.gather([-step, MARK, *sizes, *[0] * (NUMBERS - 4)])
    if any(row[:2] != [-step, MARK] for row in rows):
        raise GroupBroken("members are at different kinds of steps")
    length, numbers = rows[hub][2:4]
    if not length:
        return
    text = reducer.tell(own.text, hub)
    version = own.version if numbers == own.version.numel() else torch.empty(numbers)
    if numbers:
        reducer.spread(version, hub)
    into.text, into.version = text, version
