"""Numbers that the program asks for: each member's row, on every member of the formation."""

from collections.abc import Sequence

import torch

from edgetrain.engine.formation.commit_vote import NUMBERS
from edgetrain.engine.formation.gloo import GroupBroken
from edgetrain.engine.formation.reducer import Reducer

MOST = NUMBERS - 1
"""Numbers that go at once. A row is as long as a vote: should a member's program be at another place, it
reads one for the other, and nobody gets more than it expects, which Gloo would end its process for."""


def exchange(reducer: Reducer, step: int, own: Sequence[float], into: torch.Tensor) -> None:
    """Fill `into` (members, MOST; float64), a row for each rank. Bits are carried as they are.

    Raises:
        GroupBroken: the group failed, or somebody is not at these numbers.
    """
    padded = torch.zeros(MOST, dtype=torch.float64)
    padded[: len(own)] = torch.tensor(own, dtype=torch.float64)
    rows = reducer.gather([-step, *padded.view(torch.int64).tolist()])
    if any(row[0] != -step for row in rows):
        raise GroupBroken(f"members exchange numbers of different steps: {[-row[0] for row in rows]}")
    into.copy_(torch.tensor([row[1:] for row in rows]).view(torch.float64))
