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

    digest: str = ""


@dataclass(frozen=True)
class Versions:
    version: int = -1
    vector: Floats | None = None
    """Never changed in place. None at first."""
    digests: tuple[tuple[int, str], ...] = ()
    """Of what later versions add, as the log says."""

    def read(self, merge: Merge) -> Self:
        """An entry of the log."""
        if merge.version <= self.version:
            return self
        return replace(self, digests=(*self.digests, (merge.version, merge.digest)))

    def wanted(self, books: Books) -> Fetch | None:
        """What to fetch next; None while it is as new as the books."""
        if self.version >= books.version:
            return None
        known = dict(self.digests)
        next_one = known.get(self.version + 1)
        if self.vector is None or next_one is None or books.version - self.version > MOST_MISSING:
            return Fetch()
        return Fetch(next_one)

    def added(self, digest: str, vector: Floats) -> Self:
        """The next version is made, by one addition: the same bytes for all who make it."""
        if self.vector is None or dict(self.digests).get(self.version + 1) != digest:
            return self
        return self.whole(self.version + 1, np.add(self.vector, vector))

    def whole(self, version: int, vector: Floats) -> Self:
        """Fetched in one piece. It may be newer than what was read so far."""
        if version <= self.version:
            return self
        later = tuple(found for found in self.digests if found[0] > version)
        return replace(self, version=version, vector=vector, digests=later)
