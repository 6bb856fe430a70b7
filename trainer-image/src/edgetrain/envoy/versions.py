"""The newest version of the model, as an envoy makes it from what it has read and fetched. Pure but for sums.

What the log adds is fetched one vector a version. Who lacks one that nobody keeps any more, or many, gets a
version whole.
"""

from dataclasses import dataclass, replace
from typing import NamedTuple, Self

import numpy as np

from edgetrain.aggregator.model import MOST_MISSING
from edgetrain.payload.codec import Floats
from edgetrain.rounds.books import Books
from edgetrain.rounds.entries import Merge


class Fetch(NamedTuple):
    """What is added to the version at hand; nothing where a whole one is to be had."""

    merge: Merge | None = None


@dataclass(frozen=True)
class Versions:
    version: int = -1
    vector: Floats | None = None
    """Never changed in place. None at first."""
    merges: tuple[Merge, ...] = ()
    """That make later versions, as the log says."""

    def read(self, merge: Merge) -> Self:
        """An entry of the log."""
        if merge.version <= self.version:
            return self
        return replace(self, merges=(*self.merges, merge))

    def wanted(self, books: Books) -> Fetch | None:
        """What to fetch next; None while it is as new as the books."""
        if self.version >= books.version:
            return None
        next_one = self._next()
        if self.vector is None or next_one is None or books.version - self.version > MOST_MISSING:
            return Fetch()
        return Fetch(next_one)

    def added(self, merge: Merge, vector: Floats) -> Self:
        """The next version is made, by one addition: the same bytes for all who make it."""
        if self.vector is None or self._next() != merge:
            return self
        return self.whole(self.version + 1, np.add(self.vector, vector))

    def whole(self, version: int, vector: Floats) -> Self:
        """Fetched in one piece. It may be newer than what was read so far."""
        if version <= self.version:
            return self
        later = tuple(merge for merge in self.merges if merge.version > version)
        return replace(self, version=version, vector=vector, merges=later)

    def _next(self) -> Merge | None:
        return next((merge for merge in self.merges if merge.version == self.version + 1), None)
