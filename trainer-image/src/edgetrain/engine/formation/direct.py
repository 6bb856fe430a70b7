"""Sums of what cannot be added on its way: each piece goes to its owner, whose sum goes to all.

As many bytes over each link as by a ring (reduce-scatter, then all-gather), rounded once up and once down.
"""

from collections.abc import Sequence

from torch import Tensor

from edgetrain.engine.formation.gloo import ProcessGroup, Work
from edgetrain.engine.formation.parts import Part
from edgetrain.engine.formation.reducer import Ready


def sum_directly(group: ProcessGroup, parts: Sequence[Part], ready: Ready) -> None:
    """As `Reducer.sum_coded`. Owners add in the order of ranks, beginning with themselves."""
    lanes = [_Lane(group, number, part) for number, part in enumerate(parts)]
    for number, lane in enumerate(lanes):
        ready(number)
        lane.scatter()
        # What this one's own piece is made of comes in while the next part is made ready.
        if number:
            lanes[number - 1].reduce()
    if lanes:
        lanes[-1].reduce()
    for lane in lanes:
        lane.gather()


class _Lane:
    """One part on its way."""

    def __init__(self, group: ProcessGroup, number: int, part: Part) -> None:
        self._group, self._pieces = group, part.cut(group.size)
        self._own = self._pieces[group.rank]
        others = [rank for rank in range(group.size) if rank != group.rank]
        self._up, self._down = 2 * number, 2 * number + 1
        self._receivers = others if self._own.values.numel() else []
        self._owners = [rank for rank in others if self._pieces[rank].values.numel()]
        self._coming = [self._expect(self._own.room(), rank, self._up) for rank in self._receivers]
        self._sums = [self._expect(self._pieces[rank].landing(), rank, self._down) for rank in self._owners]
        self._sent: list[Work] = []

    def _expect(self, room: Tensor, rank: int, tag: int) -> tuple[Tensor, Work]:
        return room, self._group.receive(room, rank, tag)

    def scatter(self) -> None:
        for rank in self._owners:
            self._sent.append(self._group.send(self._pieces[rank].pack(), rank, self._up))

    def reduce(self) -> None:
        for room, work in self._coming:
            self._group.wait_for(work)
            self._own.add(room)
        if self._receivers:
            packed = self._own.pack()
            self._sent += [self._group.send(packed, rank, self._down) for rank in self._receivers]

    def gather(self) -> None:
        for rank, (room, work) in zip(self._owners, self._sums, strict=True):
            self._group.wait_for(work)
            self._pieces[rank].take(room)
        for work in self._sent:
            self._group.wait_for(work)
