"""Through the aggregator, in pieces: each member sends and receives the tensor once.

That is faster than a ring where links differ, since a ring is paced by its slowest link throughout. Pieces of
the sum go down while later ones still come up, so it takes about as long as the slowest link takes one way.
"""

from collections import deque
from collections.abc import Sequence

import torch

from edgetrain.engine.formation.gloo import ProcessGroup, Work
from edgetrain.engine.formation.parts import Part, Plain
from edgetrain.engine.formation.reducer import VOTE_TAG, Exchange, Ready, Reducer

PIECES = 32
PIECE_BYTES = 64 * 1024
"""Not smaller: each piece costs a message's overhead twice."""
AHEAD = 4
"""Pieces of every member that the aggregator makes room for at a time: bounds its memory."""


class Star(Reducer):
    """Rows come in a whole round trip. No link is used but those to the aggregator."""

    def sum(self, parts: Sequence[torch.Tensor], ready: Ready = lambda part: None) -> None:
        """The aggregator adds in the order of ranks and hands the same bits to all."""
        self.sum_coded([Plain(part) for part in parts], ready)

    def sum_coded(self, parts: Sequence[Part], ready: Ready = lambda part: None) -> None:
        """The aggregator unpacks, adds as above and packs once; what it packs is what it takes itself."""
        if self.group.rank == self._hub:
            _merge(self.group, parts, _once(ready))
        else:
            _take_part(self.group, parts, self._hub, _once(ready))

    def spread(self, tensor: torch.Tensor, root: int) -> None:
        group, hub = self.group, self._hub
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

    def expect(self, length: int) -> Exchange:
        group, hub = self.group, self._hub
        table = torch.zeros(group.size, length, dtype=torch.int64)
        if group.rank == hub:
            return _expect_all(group, table)
        coming = group.receive(table, hub, VOTE_TAG)

        def exchange(row: torch.Tensor) -> torch.Tensor:
            sending = group.send(row, hub, VOTE_TAG)
            group.wait_for(coming)
            group.wait_for(sending)
            return table

        return exchange


def _expect_all(group: ProcessGroup, table: torch.Tensor) -> Exchange:
    """By the aggregator."""
    others = [rank for rank in range(group.size) if rank != group.rank]
    coming = [group.receive(table[rank], rank, VOTE_TAG) for rank in others]

    def exchange(row: torch.Tensor) -> torch.Tensor:
        table[group.rank] = row
        for work in coming:
            group.wait_for(work)
        for work in [group.send(table, rank, VOTE_TAG) for rank in others]:
            group.wait_for(work)
        return table

    return exchange


def _once(ready: Ready) -> Ready:
    """Asks for a part with its first piece alone."""
    asked: set[int] = set()

    def ask(part: int) -> None:
        if part not in asked:
            asked.add(part)
            ready(part)

    return ask


def cut_in_pieces(parts: Sequence[Part]) -> list[tuple[int, Part]]:
    """Pieces of about equal size, each with its part's place; all ranks cut alike."""
    sizes = [part.bytes for part in parts]
    piece = max(PIECE_BYTES, sum(sizes) // PIECES)
    counts = [max(1, size // piece) for size in sizes]
    cut = zip(parts, counts, strict=True)
    return [(number, view) for number, (part, count) in enumerate(cut) for view in part.cut(count)]


def _merge(group: ProcessGroup, parts: Sequence[Part], ready: Ready) -> None:
    pieces = cut_in_pieces(parts)
    peers = [rank for rank in range(group.size) if rank != group.rank]
    incoming: deque[list[tuple[torch.Tensor, Work]]] = deque()
    sent: list[Work] = []

    def expect(index: int) -> None:
        rooms = [(peer, pieces[index][1].room()) for peer in peers]
        incoming.append([(room, group.receive(room, peer, index)) for peer, room in rooms])

    for index in range(min(AHEAD, len(pieces))):
        expect(index)
    for index, (part, piece) in enumerate(pieces):
        ready(part)
        for room, work in incoming.popleft():
            group.wait_for(work)
            piece.add(room)
        if index + AHEAD < len(pieces):
            expect(index + AHEAD)
        packed = piece.pack()
        sent += [group.send(packed, peer, index) for peer in peers]
    for work in sent:
        group.wait_for(work)


def _take_part(group: ProcessGroup, parts: Sequence[Part], hub: int, ready: Ready) -> None:
    pieces = cut_in_pieces(parts)
    landings = [piece.landing() for _, piece in pieces]
    coming = [group.receive(landing, hub, index) for index, landing in enumerate(landings)]
    sent = []
    for index, (part, piece) in enumerate(pieces):
        ready(part)
        sent.append(group.send(piece.pack(), hub, index))
    for (_, piece), landing, work in zip(pieces, landings, coming, strict=True):
        group.wait_for(work)
        piece.take(landing)
    for work in sent:
        group.wait_for(work)
