"""The newest version of the model, and what it is made from again after a restart.

A vector file has some version whole, and one file each what later versions add; `model.json` says which.
"""

from collections.abc import Callable, Iterable
from dataclasses import dataclass, replace
from pathlib import Path
from typing import Self

import numpy as np
from msgspec import Struct

from edgetrain.aggregator.documents import BadDocument, decode, encode
from edgetrain.aggregator.outer import UNMOVED, Outer
from edgetrain.aggregator.outer.optimizer import OuterState
from edgetrain.aggregator.vectors import BadVector, VectorFiles, digest_of
from edgetrain.durable_files import write_durably
from edgetrain.payload.codec import Floats
from edgetrain.payload.packing import Packing
from edgetrain.rounds.agreed import Agreed
from edgetrain.rounds.entries import Merge
from edgetrain_protocol.strategy import RoundPayload

WINDOW = 8
"""Versions whose merged updates are kept, at least: for groups that lack a few. Others get one whole."""
MOST_MISSING = 4
"""Merged updates that are fetched one by one. Who gives them may not have older ones any more, and a whole
version comes sooner."""


class Layout(Struct, frozen=True):
    """What all groups have to agree on before they share a model."""

    numbers: int
    """Of its parameters: so long is the vector."""
    digest: str
    """Of their names, shapes and order, and whatever else has to be the same."""
    statistics: int = 0
    """Numbers, the last ones, that no optimiser moves: float buffers."""

    @property
    def trained(self) -> int:
        """Numbers before those."""
        return self.numbers - self.statistics

    def packing(self, payload: RoundPayload) -> Packing:
        """Of work, and of what a version adds."""
        return Packing(payload, self.numbers, self.trained)


class Founding(Struct, frozen=True):
    """What the first group of a job says: it is that of all."""

    layout: Layout
    samples: int
    """Of an epoch; 0 where each group has data of its own."""
    epochs: int
    digest: str
    """Of version 0."""


class WholeVersion(Struct, frozen=True):
    """What `model.json` says, and what a holder is told before the vectors themselves."""

    founding: Founding
    version: int
    digest: str
    settings: str = ""
    """Those of the outer optimiser, as an entry of the log has them."""
    momentum: str = ""
    """Digests of its vectors; empty for none."""
    buffer: str = ""
    arrived: int = 0


@dataclass(frozen=True)
class Model:
    founding: Founding
    version: int
    vector: Floats
    """Never changed in place: others are reading it."""
    outer: Outer = UNMOVED

    def after(self, merge: Merge, added: Floats, agreed: Agreed) -> Self:
        """The version that this entry makes, by one addition: the same bytes for all who make it."""
        outer = self.outer.under(agreed).after(merge, added, self.founding.layout.trained)
        return replace(self, version=merge.version, vector=np.add(self.vector, added), outer=outer)

    @property
    def whole(self) -> WholeVersion:
        state = self.outer.state
        momentum, buffer = ("" if v is None else digest_of(v) for v in (state.momentum, state.buffer))
        settings, known = self.outer.agreed.text, (momentum, buffer, state.arrived)
        return WholeVersion(self.founding, self.version, digest_of(self.vector), settings, *known)

    @property
    def vectors(self) -> list[Floats]:
        """All that it has, as `whole` names them."""
        state = self.outer.state
        return [vector for vector in (self.vector, state.momentum, state.buffer) if vector is not None]

    @classmethod
    def of(cls, whole: WholeVersion, read: Callable[[str, int], Floats]) -> Self:
        """`read`: gives the vector of this digest, which has so many numbers."""
        layout = whole.founding.layout
        vector = read(whole.digest, layout.numbers)
        momentum, buffer = (read(d, layout.trained) if d else None for d in (whole.momentum, whole.buffer))
        state = OuterState(momentum, buffer, whole.arrived)
        return cls(whole.founding, whole.version, vector, Outer(Agreed.of(whole.settings), state))


class ModelFiles:
    """Of one thread."""

    def __init__(self, directory: Path) -> None:
        """Raises OSError: there can be none."""
        self._document = directory / "model.json"
        self.vectors = VectorFiles(directory / "vectors")
        self._whole: WholeVersion | None = None

    @property
    def any(self) -> bool:
        """Whether there is a version."""
        return self._document.exists()

    def keep_whole(self, model: Model) -> None:
        """It survives a power cut from here on. Raises OSError: there is no room for it; what was kept before
        still is."""
        whole = model.whole
        for digest, vector in zip(_digests(whole), model.vectors, strict=True):
            self.vectors.keep(vector, digest)
        write_durably(self._document, encode(whole))
        self._whole = whole

    def read(self, merges: Iterable[tuple[Merge, Agreed]]) -> Model:
        """The version that the last of these made, each by its settings: all that the log still has.

        Raises:
            BadVector: what it is made from is not all here, or is damaged.
        """
        try:
            whole = self._whole = decode(self._document.read_bytes(), WholeVersion)
        except (OSError, BadDocument) as error:
            raise BadVector(f"{self._document} cannot be read: {error}") from error
        model = Model.of(whole, self.vectors.numbers)
        for merge, agreed in merges:
            if merge.version > model.version:
                model = model.after(merge, self.added(merge, whole.founding.layout), agreed)
        return model

    def added(self, merge: Merge, layout: Layout) -> Floats:
        """What this version adds. Raises BadVector: it is not here, or is damaged."""
        packing = layout.packing(merge.payload)
        return packing.unpacked(self.vectors.read(merge.digest, packing.bytes))

    def tidy(self, model: Model, merges: Iterable[Merge]) -> None:
        """Once the versions after the whole one have become many: have a newer one whole, and forget what
        nobody needs any more. `merges`: all of the log, those included that are not committed.

        Raises:
            OSError: there is no room for it; what was kept before still is.
        """
        assert self._whole is not None
        if model.version - self._whole.version < 2 * WINDOW:
            return
        self.keep_whole(model)
        recent = {merge.digest for merge in merges if merge.version > model.version - WINDOW}
        self.vectors.keep_only(recent | {*_digests(self._whole)})


def _digests(whole: WholeVersion) -> list[str]:
    return [digest for digest in (whole.digest, whole.momentum, whole.buffer) if digest]
