"""What a program goes through in each epoch."""

from collections.abc import Callable, Iterator
from typing import Any

from edgetrain.loop.source import Source


class Loader:
    """Gives this worker's parts of the batches, as the program's own DataLoader makes them."""

    def __init__(self, source: Source, pass_through: Callable[[Source], Iterator[Any]]) -> None:
        self._source, self._pass = source, pass_through

    def __iter__(self) -> Iterator[Any]:
        return self._pass(self._source)

    def __len__(self) -> int:
        """Batches of an epoch."""
        return -(-self._source.samples // self._source.batch_size)
