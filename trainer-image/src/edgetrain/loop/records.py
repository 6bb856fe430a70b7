"""A stream that gives its samples one after another, the same to each worker, read by the sample's number."""

from collections import deque
from collections.abc import Iterable, Iterator, Sequence
from typing import Any

from edgetrain.engine.errors import BadProgram
from edgetrain.loop.order import seed_in
from edgetrain.loop.random_numbers import SharedNumbers

KEPT_BATCHES = 4
"""That are behind: what a lost worker had in hand goes out with the next step."""
_END = object()


class Counted:
    """The stream's order, an epoch after the other."""

    def __init__(self, samples: int) -> None:
        """`samples` of an epoch."""
        self._samples = samples

    def indices(self, epoch: int, positions: Sequence[int]) -> list[int]:
        return [epoch * self._samples + position for position in positions]


class Records:
    """Each epoch begins the stream anew. A worker reads over the samples of others, and keeps some in case
    they are left to it. There is one pass through the stream at a time: many can only be read once."""

    def __init__(self, stream: Iterable[Any], samples: int, batch_size: int, seed: int) -> None:
        """`samples` of an epoch."""
        self._stream, self._samples, self._seed = stream, samples, seed
        self._behind: deque[Any] = deque(maxlen=KEPT_BATCHES * batch_size)
        self._epoch, self._next = -1, 0
        self._left: Iterator[Any] = iter(())
        self._numbers = SharedNumbers(0)

    def read(self, indices: Sequence[int]) -> list[Any]:
        """
        Raises:
            BadProgram: the stream ends before one of them.
        """
        epoch, numbers = indices[0] // self._samples, [index % self._samples for index in indices]
        if epoch != self._epoch or self._next - min(numbers) > len(self._behind):
            self._begin(epoch)
        # Once for all of them, since states of random numbers are large.
        with self._numbers.in_use():
            found = {number: self._sample(number) for number in sorted(numbers)}
        return [found[number] for number in numbers]

    def _begin(self, epoch: int) -> None:
        self._epoch, self._next = epoch, 0
        self._behind.clear()
        self._numbers = SharedNumbers(seed_in(self._seed, epoch))
        with self._numbers.in_use():
            self._left = iter(self._stream)

    def _sample(self, number: int) -> Any:
        """In ascending order: what is behind is looked up before more is read."""
        if number < self._next:
            return self._behind[number - self._next]
        while self._next <= number:
            self._behind.append(self._following())
            self._next += 1
        return self._behind[-1]

    def _following(self) -> Any:
        if (sample := next(self._left, _END)) is _END:
            raise BadProgram(
                f"the stream ended after {self._next} samples, and an epoch has more by its length or by "
                "steps=... of session.loader: give it fewer steps"
            )
        return sample
