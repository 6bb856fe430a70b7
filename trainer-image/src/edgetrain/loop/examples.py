"""The program's data set, whatever its form, as batches of chosen samples."""

from collections.abc import Callable, Sequence
from dataclasses import dataclass
from typing import Any

import torch
from torch.utils.data import TensorDataset, default_collate

from edgetrain.engine.errors import BadProgram, EmptyDataset
from edgetrain.epoch_order import EpochOrder
from edgetrain.loop.order import Shuffled
from edgetrain.loop.source import Source


@dataclass(frozen=True)
class Batch:
    """One step's samples for this worker."""

    fields: tuple[Any, ...]
    """What the data set holds, a stack each."""
    indices: list[int]
    """Which samples of the data set these are."""
    epoch: int

    @property
    def x(self) -> Any:
        return self.fields[0]

    @property
    def y(self) -> Any:
        return self.fields[1]

    def __len__(self) -> int:
        return len(self.indices)


class Examples:
    """A tuple of tensors or arrays of equal length, or anything with a length that can be indexed.

    Raises:
        EmptyDataset: there is nothing to train on.
        BadProgram: it is neither.
    """

    def __init__(self, data: Any) -> None:
        self._tensors: list[torch.Tensor] | None = None
        self._data = data
        if isinstance(data, TensorDataset):
            self._tensors = list(data.tensors)
        elif isinstance(data, (tuple, torch.Tensor)):
            parts = data if isinstance(data, tuple) else (data,)
            self._tensors = [torch.as_tensor(part) for part in parts]
        self._count = self._checked_count()

    def __len__(self) -> int:
        return self._count

    def take(self, indices: Sequence[int], epoch: int) -> Batch:
        chosen = list(indices)
        if self._tensors is not None:
            rows = torch.tensor(chosen)
            return Batch(tuple(tensor[rows] for tensor in self._tensors), chosen, epoch)
        stacked = default_collate([self._data[index] for index in chosen])
        return Batch(tuple(stacked) if isinstance(stacked, (list, tuple)) else (stacked,), chosen, epoch)

    def _checked_count(self) -> int:
        try:
            counts = {len(part) for part in self._tensors} if self._tensors else {len(self._data)}
        except TypeError as error:
            raise BadProgram(
                f"session.batches got a {type(self._data).__name__}, which has no length: give it a tuple of "
                "tensors, or a data set with __len__ and __getitem__"
            ) from error
        if len(counts) > 1:
            raise BadProgram(f"session.batches got tensors of different lengths: {sorted(counts)}")
        if not (count := counts.pop()):
            mend = "check the path and the filter that it is read with"
            raise EmptyDataset(f"the data set has no samples: {mend}")
        return count


def examples_source(data: Any, batch_size: int, seed: int, epoch: Callable[[], int]) -> Source:
    """Of `session.batches`; `epoch`: that of the batch which is fetched."""
    examples = Examples(data)
    count = len(examples)
    return Source(
        samples=count,
        batch_size=batch_size,
        order=Shuffled(EpochOrder(count, seed, 0)),
        fetch=lambda indices: examples.take(indices, epoch()),
        described=f"data {count} samples, batch_size {batch_size}, seed {seed}",
    )
