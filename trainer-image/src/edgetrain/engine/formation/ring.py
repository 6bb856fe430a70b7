"""Over all links: sums by Gloo's ring; what is small, and rows, by one message from each to each."""

from collections.abc import Sequence

import torch

from edgetrain.engine.formation.direct import sum_directly
from edgetrain.engine.formation.gloo import ProcessGroup
from edgetrain.engine.formation.parts import Part
from edgetrain.engine.formation.reducer import VOTE_TAG, Exchange, Ready, Reducer

SMALL_BYTES = 256 * 1024
"""So much a member sends, and receives, rather than wait for a ring's 2(n - 1) messages in a row."""


class Ring(Reducer):
    """Paced by its slowest link throughout; rows come in half a round trip."""

    def sum(self, parts: Sequence[torch.Tensor], ready: Ready = lambda part: None) -> None:
        if self._small(parts):
            self._sum_small(parts, ready)
            return
        under_way = []
        for number, part in enumerate(parts):
            ready(number)
            under_way.append(self.group.all_reduce(part))
        for work in under_way:
            self.group.wait_for(work)

    def sum_coded(self, parts: Sequence[Part], ready: Ready = lambda part: None) -> None:
        """Directly: a ring would round what it carries on at each member. What is small goes as it is."""
        plain = [part.values for part in parts]
        if self._small(plain):
            self._sum_small(plain, ready)
            for part in parts:
                part.went_as_it_is()
        else:
            sum_directly(self.group, parts, ready)

    def _small(self, parts: Sequence[torch.Tensor]) -> bool:
        return self.group.size * sum(map(_bytes, parts)) <= SMALL_BYTES

    def _sum_small(self, parts: Sequence[torch.Tensor], ready: Ready) -> None:
        """Each adds in the order of ranks."""
        rooms = [
            expect_each(self.group, part.numel(), part.dtype, number) for number, part in enumerate(parts)
        ]
        for number, part in enumerate(parts):
            ready(number)
            first, *others = rooms[number](part)
            part.copy_(first)
            for row in others:
                part += row

    def spread(self, tensor: torch.Tensor, root: int) -> None:
        self.group.broadcast(tensor, root)

    def expect(self, length: int) -> Exchange:
        return expect_each(self.group, length, torch.int64, VOTE_TAG)


def expect_each(group: ProcessGroup, length: int, dtype: torch.dtype, tag: int) -> Exchange:
    """Make room for every rank's row; the result sends ours to each, and returns all by rank."""
    table = torch.empty(group.size, length, dtype=dtype)
    others = [rank for rank in range(group.size) if rank != group.rank]
    coming = [group.receive(table[rank], rank, tag) for rank in others]

    def exchange(row: torch.Tensor) -> torch.Tensor:
        table[group.rank] = row
        sending = [group.send(table[group.rank], rank, tag) for rank in others]
        # What comes first: a receive that is waited for is freed when a connection ends, a send is not.
        for work in [*coming, *sending]:
            group.wait_for(work)
        return table

    return exchange


def _bytes(tensor: torch.Tensor) -> int:
    return tensor.numel() * tensor.element_size()
