"""Summing over a group: by a ring, or by a star through the aggregator, in pieces.

The star is faster where links differ: each member sends and receives the tensor once, over its own
link and the aggregator's, while a ring is paced by its slowest link throughout. Pieces of the sum go
down while later ones still come up, so it takes about as long as the slowest link takes one way.
"""

from collections import deque
from collections.abc import Sequence

import torch

from edgetrain.engine.gloo import Group, Work

PIECES = 32
PIECE_BYTES = 64 * 1024
"""Not smaller: each piece costs a message's overhead twice."""
AHEAD = 4
"""Pieces of every member that the aggregator makes room for at a time: bounds its memory."""


class Reduction:
    """How one formation sums: the group, and by which way."""

    def __init__(self, group: Group, kind: str, hub: int) -> None:
        self.group = group
        self._kind, self._hub = kind, hub

    def sum(self, tensor: torch.Tensor) -> None:
        """Sum a flat tensor over all ranks in place; all ranks end with the same bits."""
        if self._kind == "star":
            star(self.group, tensor, self._hub)
        else:
            ring(self.group, tensor)

    def gather(self, row: Sequence[int]) -> list[list[int]]:
        """Every rank's row of integers, by rank; all give rows of the same length."""
        table = torch.zeros(self.group.size, len(row), dtype=torch.int64)
        table[self.group.rank] = torch.tensor(row, dtype=torch.int64)
        self.sum(table.view(-1))
        rows: list[list[int]] = table.tolist()
        return rows

    def tell(self, text: bytes, root: int) -> bytes:
        """Rank `root`'s bytes, on every rank."""
        size = torch.tensor([len(text)])
        self.spread(size, root)
        own = self.group.rank == root
        data = torch.frombuffer(bytearray(text) if own else bytearray(int(size)), dtype=torch.uint8)
        self.spread(data, root)
        return data.numpy().tobytes()

    def spread(self, tensor: torch.Tensor, root: int) -> None:
        """Rank `root`'s tensor, on every rank, in place."""
        if self._kind == "star":
            hand_round(self.group, tensor, root, self._hub)
        else:
            self.group.broadcast(tensor, root)


def ring(group: Group, tensor: torch.Tensor) -> None:
    """Sum `tensor` (flat, any type) over all ranks in place."""
    group.all_reduce(tensor)


def star(group: Group, tensor: torch.Tensor, hub: int) -> None:
    """The same through rank `hub`, which adds in the order of ranks and hands the same bits to all."""
    if group.size == 1:
        return
    if group.rank == hub:
        _merge(group, tensor)
    else:
        _take_part(group, tensor, hub)


def cut_in_pieces(tensor: torch.Tensor) -> list[torch.Tensor]:
    """Views of a flat tensor, of equal size but for the last; all ranks cut alike."""
    size = tensor.numel() * tensor.element_size()
    count = max(1, min(PIECES, size // PIECE_BYTES))
    return list(tensor.tensor_split(count))


def hand_round(group: Group, tensor: torch.Tensor, root: int, hub: int) -> None:
    """Rank `root`'s tensor to all by way of rank `hub`: over the links that a star uses, and no other."""
    if group.rank == root != hub:
        group.wait_for(group.send(tensor, hub, 0))
    elif group.rank == hub:
        if root != hub:
            group.wait_for(group.receive(tensor, root, 0))
        others = [rank for rank in range(group.size) if rank not in (hub, root)]
        for work in [group.send(tensor, rank, 0) for rank in others]:
            group.wait_for(work)
    else:
        group.wait_for(group.receive(tensor, hub, 0))


def _merge(group: Group, tensor: torch.Tensor) -> None:
    pieces = cut_in_pieces(tensor)
    peers = [rank for rank in range(group.size) if rank != group.rank]
    incoming: deque[list[tuple[torch.Tensor, Work]]] = deque()
    sent: list[Work] = []

    def expect(index: int) -> None:
        rooms = [(peer, torch.empty_like(pieces[index])) for peer in peers]
        incoming.append([(room, group.receive(room, peer, index)) for peer, room in rooms])

    for index in range(min(AHEAD, len(pieces))):
        expect(index)
    for index, piece in enumerate(pieces):
        for room, work in incoming.popleft():
            group.wait_for(work)
            piece += room
        if index + AHEAD < len(pieces):
            expect(index + AHEAD)
        sent += [group.send(piece, peer, index) for peer in peers]
    for work in sent:
        group.wait_for(work)


def _take_part(group: Group, tensor: torch.Tensor, hub: int) -> None:
    pieces = cut_in_pieces(tensor)
    sums = [torch.empty_like(piece) for piece in pieces]
    down = [group.receive(room, hub, index) for index, room in enumerate(sums)]
    up = [group.send(piece, hub, index) for index, piece in enumerate(pieces)]
    for piece, room, sending, coming in zip(pieces, sums, up, down, strict=True):
        group.wait_for(sending)
        group.wait_for(coming)
        piece.copy_(room)
