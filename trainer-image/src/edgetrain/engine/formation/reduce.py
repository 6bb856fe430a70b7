"""Summing over a group: by a ring, or by a star through the aggregator, in pieces.

The star is faster where links differ: each member sends and receives the tensor once, over its own
link and the aggregator's, while a ring is paced by its slowest link throughout. Pieces of the sum go
down while later ones still come up, so it takes about as long as the slowest link takes one way.
"""

from collections import deque
from collections.abc import Callable, Sequence

import torch

from edgetrain.engine.formation.gloo import ProcessGroup, Work

PIECES = 32
PIECE_BYTES = 64 * 1024
"""Not smaller: each piece costs a message's overhead twice."""
AHEAD = 4
"""Pieces of every member that the aggregator makes room for at a time: bounds its memory."""


SMALL_BYTES = 256 * 1024
"""That a member sends and receives each."""
VOTE_TAG = 1 << 20
"""Beyond those of all pieces."""

Ready = Callable[[int], None]
"""Waits until the part at this place may be sent."""
Exchange = Callable[[torch.Tensor], torch.Tensor]
Gather = Callable[[Sequence[int]], list[list[int]]]


class Reduction:
    """How one formation sums: the group, and by which way."""

    def __init__(self, group: ProcessGroup, kind: str, hub: int) -> None:
        self.group = group
        self._kind, self._hub = kind, hub

    def sum(self, parts: Sequence[torch.Tensor], ready: Ready = lambda part: None) -> None:
        """Sum flat tensors over all ranks in place; all ranks end with the same bits.

        Args:
            parts: the same sizes on every rank.
            ready: is asked for each part in turn; those before are under way meanwhile.
        """
        if self.group.size == 1:
            for part in range(len(parts)):
                ready(part)
        elif self._kind == "star":
            star(self.group, parts, self._hub, ready)
        elif is_small(parts, self.group.size):
            each_to_each(self.group, parts, ready)
        else:
            ring(self.group, parts, ready)

    def expect_rows(self, length: int) -> Gather:
        """Make room for every rank's row of so many integers; the result takes ours and returns all, by rank.

        They come in half a round trip where all links are to be used, in a whole one through the hub,
        provided that the room was made before: Gloo sends nothing to whom it does not know to be ready.
        """
        if self._kind == "star":
            through = expect_through(self.group, length, self._hub)
        else:
            through = expect_each(self.group, length, torch.int64, VOTE_TAG)

        def gather(row: Sequence[int]) -> list[list[int]]:
            rows: list[list[int]] = through(torch.tensor(row, dtype=torch.int64)).tolist()
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

    def spread(self, tensor: torch.Tensor, root: int) -> None:
        """Rank `root`'s tensor, on every rank, in place."""
        if self._kind == "star":
            hand_round(self.group, tensor, root, self._hub)
        else:
            self.group.broadcast(tensor, root)


def ring(group: ProcessGroup, parts: Sequence[torch.Tensor], ready: Ready) -> None:
    """Sum each of `parts` (flat, any type) over all ranks in place."""
    works = []
    for number, part in enumerate(parts):
        ready(number)
        works.append(group.all_reduce(part))
    for work in works:
        group.wait_for(work)


def is_small(parts: Sequence[torch.Tensor], size: int) -> bool:
    """Whether to send all of it to everybody takes less than the round trips of a ring."""
    return size * sum(part.numel() * part.element_size() for part in parts) <= SMALL_BYTES


def each_to_each(group: ProcessGroup, parts: Sequence[torch.Tensor], ready: Ready) -> None:
    """The same by one message from each to each, in half a round trip; each adds in the order of ranks."""
    tables = [expect_each(group, part.numel(), part.dtype, number) for number, part in enumerate(parts)]
    for number, part in enumerate(parts):
        ready(number)
        first, *others = tables[number](part)
        part.copy_(first)
        for row in others:
            part += row


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


def star(group: ProcessGroup, parts: Sequence[torch.Tensor], hub: int, ready: Ready) -> None:
    """The same through rank `hub`, which adds in the order of ranks and hands the same bits to all."""
    if group.rank == hub:
        _merge(group, parts, ready)
    else:
        _take_part(group, parts, hub, ready)


def cut_in_pieces(parts: Sequence[torch.Tensor]) -> list[tuple[int, torch.Tensor]]:
    """Views of flat tensors, of about equal size, each with its part's place; all ranks cut alike."""
    sizes = [part.numel() * part.element_size() for part in parts]
    piece = max(PIECE_BYTES, sum(sizes) // PIECES)
    counts = [max(1, size // piece) for size in sizes]
    cut = zip(parts, counts, strict=True)
    return [(number, view) for number, (part, count) in enumerate(cut) for view in part.tensor_split(count)]


def expect_through(group: ProcessGroup, length: int, hub: int) -> Exchange:
    """As `expect_each`, for integers, by way of rank `hub`."""
    table = torch.zeros(group.size, length, dtype=torch.int64)
    others = [rank for rank in range(group.size) if rank != hub]
    if group.rank == hub:
        coming = [group.receive(table[rank], rank, VOTE_TAG) for rank in others]
    else:
        coming = [group.receive(table, hub, VOTE_TAG)]

    def exchange(row: torch.Tensor) -> torch.Tensor:
        if group.rank != hub:
            coming.append(group.send(row, hub, VOTE_TAG))
        for work in coming:
            group.wait_for(work)
        if group.rank == hub:
            table[hub] = row
            for work in [group.send(table, rank, VOTE_TAG) for rank in others]:
                group.wait_for(work)
        return table

    return exchange


def hand_round(group: ProcessGroup, tensor: torch.Tensor, root: int, hub: int) -> None:
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


def _merge(group: ProcessGroup, parts: Sequence[torch.Tensor], ready: Ready) -> None:
    pieces = cut_in_pieces(parts)
    peers = [rank for rank in range(group.size) if rank != group.rank]
    incoming: deque[list[tuple[torch.Tensor, Work]]] = deque()
    sent: list[Work] = []

    def expect(index: int) -> None:
        rooms = [(peer, torch.empty_like(pieces[index][1])) for peer in peers]
        incoming.append([(room, group.receive(room, peer, index)) for peer, room in rooms])

    for index in range(min(AHEAD, len(pieces))):
        expect(index)
    for index, (part, piece) in enumerate(pieces):
        ready(part)
        for room, work in incoming.popleft():
            group.wait_for(work)
            piece += room
        if index + AHEAD < len(pieces):
            expect(index + AHEAD)
        sent += [group.send(piece, peer, index) for peer in peers]
    for work in sent:
        group.wait_for(work)


def _take_part(group: ProcessGroup, parts: Sequence[torch.Tensor], hub: int, ready: Ready) -> None:
    pieces = cut_in_pieces(parts)
    # Into the same room: a sum comes when all of what it is made of has gone.
    under_way = [group.receive(piece, hub, index) for index, (_, piece) in enumerate(pieces)]
    for index, (part, piece) in enumerate(pieces):
        ready(part)
        under_way.append(group.send(piece, hub, index))
    for work in under_way:
        group.wait_for(work)
