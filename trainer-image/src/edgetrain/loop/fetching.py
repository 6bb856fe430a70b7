"""Batches as they are wanted, fetched ahead by the program's own loader processes where it has them.

What comes next is known for certain only when the step before is committed, since members come and go and
shares follow speeds. So it is foreseen, and what was foreseen wrongly is thrown away.
"""

from collections import deque
from collections.abc import Callable, Iterator
from typing import Any

from edgetrain.loop.source import Source, batches_of

Foreseen = Callable[[], Iterator[list[int]]]
"""The lists of indices that will be wanted, from the next one on, as far as can be seen now."""


class Fetching:
    """One pass through a source."""

    def __init__(self, source: Source, foreseen: Foreseen) -> None:
        self._source, self._foreseen = source, foreseen
        self._asked: deque[list[int]] = deque()
        """Of the processes, in the order in which batches will come."""
        self._view: Iterator[list[int]] = iter(())
        self._ahead: Iterator[Any] | None = None

    def batch(self, indices: list[int]) -> Any:
        """Made of these samples."""
        if self._source.workers is None:
            return self._source.fetch(indices)
        if self._ahead is None:
            self._view = self._starting_with(indices)
            self._ahead = batches_of(self._source, self._feed())
        if indices not in self._asked:
            # Foreseen wrongly: what is asked for from now on is what is foreseen now.
            self._view = self._foreseen()
            return self._source.fetch(indices)
        while self._asked.popleft() != indices:
            next(self._ahead)
        return next(self._ahead)

    def _starting_with(self, indices: list[int]) -> Iterator[list[int]]:
        yield indices
        yield from self._foreseen()

    def _feed(self) -> Iterator[list[int]]:
        while (indices := next(self._view, None)) is not None:
            self._asked.append(indices)
            yield indices
