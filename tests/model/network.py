"""A simulated clock, and links between pods that fail in every way that links do."""

import heapq
import random
from collections.abc import Callable


class Network:
    def __init__(self, size: int, seed: int) -> None:
        self.size = size
        self.random = random.Random(seed)
        self.now = 0.0
        self._queue: list[tuple[float, int, Callable[[], None]]] = []
        self._count = 0
        self._cut: set[frozenset[int]] = set()
        self._one_way: set[tuple[int, int]] = set()
        self._no_data: set[frozenset[int]] = set()

    # --- the clock

    def after(self, seconds: float, action: Callable[[], None]) -> None:
        self._count += 1
        heapq.heappush(self._queue, (self.now + seconds, self._count, action))

    def run(self, seconds: float, until: Callable[[], bool] = lambda: False) -> bool:
        end = self.now + seconds
        while self._queue and self._queue[0][0] <= end:
            self.now, _, action = heapq.heappop(self._queue)
            action()
            if until():
                return True
        self.now = end
        return until()

    # --- the links

    def connected(self, a: int, b: int) -> bool:
        """What one sends comes to the other, and what acknowledges it comes back."""
        one_way = (a, b) in self._one_way or (b, a) in self._one_way
        return frozenset((a, b)) not in self._cut and not one_way

    def carries(self, a: int, b: int) -> bool:
        """Whether data pass between them too."""
        return self.connected(a, b) and frozenset((a, b)) not in self._no_data

    def partition(self, side: set[int]) -> None:
        self._cut |= {frozenset((a, b)) for a in side for b in set(range(self.size)) - side}

    def cut_off(self, index: int) -> None:
        self.partition({index})

    def cut_one_way(self, sender: int, receiver: int) -> None:
        """What the first sends to the other is lost; acknowledgements with it, so that nothing goes on."""
        self._one_way.add((sender, receiver))

    def cut_data(self, index: int) -> None:
        """A tunnel that loses large packets: control gets through to it and from it, data do not."""
        self._no_data |= {frozenset((index, other)) for other in range(self.size) if other != index}

    def mend_links(self) -> None:
        self._cut.clear()
        self._one_way.clear()
        self._no_data.clear()
