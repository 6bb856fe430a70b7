"""How the members of a formation sum, gather and hand round: one file for each way, chosen by name."""

from abc import ABC, abstractmethod
from collections.abc import Callable, Sequence

import torch

from edgetrain.engine.formation.gloo import ProcessGroup
from edgetrain.engine.formation.parts import Part

VOTE_TAG = 1 << 20
"""Beyond those of all pieces of a sum."""

Ready = Callable[[int], None]
"""Waits until the part at this place may be sent."""
Exchange = Callable[[torch.Tensor], torch.Tensor]
"""Takes this rank's row of integers and returns every rank's."""
Gather = Callable[[Sequence[int]], list[list[int]]]


class Reducer(ABC):
    """One formation's."""

    def __init__(self, group: ProcessGroup, hub: int) -> None:
        """`hub`: the aggregator's rank."""
        self.group, self._hub = group, hub

    @abstractmethod
    def sum(self, parts: Sequence[torch.Tensor], ready: Ready = lambda part: None) -> None:
        """Sum flat tensors over all ranks in place; all ranks end with the same bits.

        Args:
            parts: the same sizes on every rank.
            ready: is asked for each part once, in turn; those before are under way meanwhile.
        """

    @abstractmethod
    def sum_coded(self, parts: Sequence[Part], ready: Ready = lambda part: None) -> None:
        """As `sum`, of parts that cannot be added as they travel.

        Args:
            parts: cut alike on every rank.
        """

    @abstractmethod
    def spread(self, tensor: torch.Tensor, root: int) -> None:
        """Rank `root`'s tensor, on every rank, in place."""

    @abstractmethod
    def expect(self, length: int) -> Exchange:
        """Make room for every rank's row of so many integers.

        Gloo sends nothing to whom it does not know to be ready: a row for which the room was made in time
        comes without another round trip.
        """

    def expect_rows(self, length: int) -> Gather:
        """As `expect`, of lists."""
        exchange = self.expect(length)

        def gather(row: Sequence[int]) -> list[list[int]]:
            rows: list[list[int]] = exchange(torch.tensor(row, dtype=torch.int64)).tolist()
            return rows

        return gather

    def gather(self, row: Sequence[int]) -> list[list[int]]:
        """Every rank's row of integers, by rank; all give rows of the same length."""
        return self.expect_rows(len(row))(row)

    def tell(self, text: bytes, root: int) -> bytes:
        """Rank `root`'s bytes, on every rank."""
        size = torch.tensor([len(text)])
        self.spread(size, root)
        own = self.group.rank == root
        data = torch.frombuffer(bytearray(text) if own else bytearray(int(size)), dtype=torch.uint8)
        self.spread(data, root)
        return data.numpy().tobytes()
