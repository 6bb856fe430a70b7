"""Makes what is added to a version from the updates of a round, beside the thread that decides.

Meanwhile no entry is written, so that it is made for as many groups as are on the books.
"""

import threading
from collections.abc import Callable, Sequence
from dataclasses import dataclass
from typing import NamedTuple

import numpy as np

from edgetrain.aggregator.model import Layout
from edgetrain.aggregator.outer import Outer
from edgetrain.aggregator.staging import Staging
from edgetrain.aggregator.vectors import VectorFiles, digest_of
from edgetrain.aggregator.weights import work_of
from edgetrain.payload.codec import Floats
from edgetrain.rounds.entries import Contribution, UpdateKey
from edgetrain_protocol.strategy import RoundPayload


@dataclass(frozen=True)
class Made:
    term: int
    keys: tuple[UpdateKey, ...]
    payload: RoundPayload
    merged: Floats
    """As it comes out of the payload."""
    digest: str
    """Of the packed bytes. Their file survives a power cut."""


class How(NamedTuple):
    """Work becomes a version."""

    outer: Outer
    layout: Layout
    groups: int
    """On the books."""


class Merger:
    """Its methods are for one thread, beside which it has one of its own at a time."""

    def __init__(self, staging: Staging, files: VectorFiles, wake: Callable[[], None]) -> None:
        self._staging, self._files, self._wake = staging, files, wake
        self._outcome: Made | OSError | None = None
        self._noise = np.random.default_rng()
        self.busy = False

    def begin(
        self, term: int, keys: tuple[UpdateKey, ...], updates: Sequence[Contribution], how: How
    ) -> None:
        """`wake` is called once it is made."""
        vectors = self._staging.vectors(updates)
        self.busy = True
        arguments = (term, keys, updates, vectors, how)
        threading.Thread(target=self._make, args=arguments, name="merger", daemon=True).start()

    def made(self, term: int) -> Made | None:
        """It stays until it is written, or the term is over. Raises OSError: there was no room for it, and it
        is to be made again."""
        outcome = self._outcome
        if isinstance(outcome, OSError):
            self._outcome = None
            raise outcome
        return outcome if outcome is not None and outcome.term == term else None

    def written(self) -> None:
        self._outcome = None

    def _make(
        self,
        term: int,
        keys: tuple[UpdateKey, ...],
        updates: Sequence[Contribution],
        vectors: list[Floats],
        how: How,
    ) -> None:
        agreed, trained = how.outer.agreed, how.layout.trained
        work = work_of(agreed.weights, updates, vectors, how.groups, trained)
        packing = how.layout.packing(agreed.payload)
        # By chance: there is no residue, which would be lost with the lead.
        data = packing.packed(how.outer.added(work, trained, len(updates), how.groups), self._noise)
        digest = digest_of(data)
        try:
            self._files.keep(data, digest)
            self._outcome = Made(term, keys, agreed.payload, packing.unpacked(data), digest)
        except OSError as error:
            self._outcome = error
        self.busy = False
        self._wake()
