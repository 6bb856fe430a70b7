"""What a program goes through in each epoch."""

from collections.abc import Callable, Iterator
from typing import Any

from edgetrain.loop.supply import Supply


class Loader:
    """Gives this worker's batches, as the program's own DataLoader makes them."""

    def __init__(
        self, supply: Supply, pass_through: Callable[[Supply, int], Iterator[Any]], data: Any, number: int = 0
    ) -> None:
        """`number`: which of the program's loaders it is."""
        self._supply, self._pass, self._data, self._number = supply, pass_through, data, number

    def __iter__(self) -> Iterator[Any]:
        return self._pass(self._supply, self._number)

    def __len__(self) -> int:
        """Batches of an epoch."""
        return len(self._supply)

    def __getattr__(self, name: str) -> Any:
        """What else frameworks ask a DataLoader for, such as its data set, the program's own answers."""
        if name.startswith("_"):
            raise AttributeError(name)
        return getattr(self._data, name)
