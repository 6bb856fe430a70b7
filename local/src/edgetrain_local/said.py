"""Lines of programs on their way to the screen: no more than a person can read."""

import queue
from collections import Counter
from collections.abc import Iterator

MOST_WAITING = 1000
MOST_AT_ONCE = 200
"""A program that prints without end must not keep the screen from its keys."""


class Said:
    """`put` by any thread, `lines` by the screen's."""

    def __init__(self) -> None:
        self._lines: queue.Queue[tuple[str, str]] = queue.Queue(MOST_WAITING)
        self._left_out: Counter[str] = Counter()

    def put(self, node: str, line: str) -> None:
        try:
            self._lines.put_nowait((node, line))
        except queue.Full:
            self._left_out[node] += 1

    def lines(self) -> Iterator[tuple[str, str]]:
        """Node and line, the oldest first."""
        for _ in range(MOST_AT_ONCE):
            try:
                yield self._lines.get_nowait()
            except queue.Empty:
                break
        for node in list(self._left_out):
            if count := self._left_out.pop(node, 0):
                yield node, f"({count:,} lines are in its log alone)"
