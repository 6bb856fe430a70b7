"""A stream that gives its samples one after another, the same to each worker, read by the sample's number."""

from collections.abc import Iterable, Iterator, Sequence
from typing import Any

from edgetrain.engine.errors import BadProgram

_END = object()


class Counted:
    """The stream's order, an epoch after the other."""

    def __init__(self, samples: int) -> None:
        """`samples` of an epoch."""
        self._samples = samples

    def indices(self, epoch: int, positions: Sequence[int]) -> list[int]:
        return [epoch * self._samples + position for position in positions]


class _Reader:
    """One pass through the stream."""

    def __init__(self, stream: Iterable[Any]) -> None:
        self._left: Iterator[Any] = iter(stream)
        self.next = 0
        """The number of the sample that it gives next, in its epoch."""

    def to(self, number: int) -> Any:
        """
        Raises:
            BadProgram: the stream ends before this sample.
        """
        sample = _END
        while self.next <= number:
            if (sample := next(self._left, _END)) is _END:
                raise BadProgram(
                    f"the stream ended after {self.next} samples, and an epoch has more by steps=... of "
                    "session.loader: give it fewer steps"
                )
            self.next += 1
        return sample


class Records:
    """Each epoch begins the stream anew. A worker reads over the samples of others; for those that a lost one
    leaves to the rest, which lie behind, it goes through the stream once more."""

    def __init__(self, stream: Iterable[Any], samples: int) -> None:
        """`samples` of an epoch."""
        self._stream, self._samples = stream, samples
        self._epoch = -1
        self._readers: list[_Reader] = []
        """The one that is furthest, and one behind it."""

    def __getitem__(self, index: int) -> Any:
        epoch, number = divmod(index, self._samples)
        if epoch != self._epoch:
            self._epoch, self._readers = epoch, []
        return self._reader(number).to(number)

    def _reader(self, number: int) -> _Reader:
        ready = [reader for reader in self._readers if reader.next <= number]
        if not ready:
            # Who was behind last is further than this now: it is of no more use than a new one.
            self._readers = [*self._readers[:1], _Reader(self._stream)]
            return self._readers[-1]
        return max(ready, key=lambda reader: reader.next)
