"""How many samples a worker's own data have, and of which labels: numbers alone, for whoever looks after a
job whose data stay where they are."""

from collections import Counter
from collections.abc import Callable, Iterable
from typing import Any

import torch

from edgetrain_protocol.report import MOST_LABELS

Labels = Callable[[Any], Iterable[Any]]
"""The labels of a batch's samples."""
Tell = Callable[[int, dict[str, int]], None]
"""Samples, and by label."""
OTHERS = "others"
LONGEST = 63


class OwnData:
    """Counts as batches are given, and tells what a pass has come to."""

    def __init__(self, labels: Labels | None, tell: Tell) -> None:
        self._labels, self._tell = labels, tell
        self._samples, self._by_label = 0, Counter[str]()

    def add(self, batch: Any) -> None:
        """The program is given this batch."""
        self._samples += round(samples_of(batch))
        if self._labels:
            found = self._labels(batch)
            values = found.flatten().tolist() if isinstance(found, torch.Tensor) else found
            self._by_label.update(_text(value) for value in values)

    def pass_ended(self) -> None:
        """The data come from the start again: what they have come to is told."""
        if self._samples:
            self._tell(self._samples, _most(self._by_label))
        self._samples, self._by_label = 0, Counter()


def samples_of(batch: Any) -> float:
    """Of a batch as collate functions make them: of its first tensor, or its own length."""
    left = [batch]
    while left:
        part = left.pop(0)
        if isinstance(part, torch.Tensor):
            return float(part.shape[0]) if part.dim() else 1.0
        if isinstance(part, dict):
            left = [*part.values(), *left]
        elif isinstance(part, (list, tuple)):
            left = [*part, *left]
    return 1.0


def _most(by_label: Counter[str]) -> dict[str, int]:
    """The most frequent, and what is left of them."""
    if len(by_label) <= MOST_LABELS:
        return dict(by_label)
    named = dict(by_label.most_common(MOST_LABELS - 1))
    rest = by_label.total() - sum(named.values())
    return {**named, OTHERS: rest + named.get(OTHERS, 0)}


def _text(label: Any) -> str:
    """As it can be sent; of names of files, for one, Python makes what cannot."""
    return str(label)[:LONGEST].encode(errors="replace").decode()
