"""What a step's turn is made into, for the program: a part of a batch that all share, a batch of the
worker's own, or a number."""

from collections.abc import Callable, Iterable, Iterator, Sequence
from itertools import groupby
from typing import Any, Protocol

from msgspec.structs import replace

from edgetrain.data import ALL_STEPS, Block, SamplerState, steps_of
from edgetrain.engine.assignment import StepAssignment
from edgetrain.engine.errors import EmptyDataset
from edgetrain.engine.place import Place
from edgetrain.engine.state.ledger import Ledger
from edgetrain.loop.fetching import Fetching, Foreseen
from edgetrain.loop.own_data import OwnData, samples_of
from edgetrain.loop.source import Source, length_of

STAND_IN = 2
"""Samples of a batch that does not count. Two, since batch norm refuses to train on one."""
LOCAL = "local data"


_NONE = object()


class Supply(Protocol):
    """Of one program."""

    described: str
    """For the comparison with the other workers' programs."""

    def ledger(self, epochs: int, first: int) -> Ledger:
        """At the start of a loop: `epochs` of this one and all before it, of which `first` are over."""

    def begin_epoch(self, foreseen: Foreseen, agreed: Callable[[float], list[float]]) -> None:
        """
        Args:
            foreseen: positions of the next turns, see `Fetching`.
            agreed: gives all members' numbers for this one's.
        """

    def over(self, record: SamplerState) -> bool:
        """Whether the epoch is over, where the record itself does not tell."""

    def batch(self, turn: StepAssignment) -> Any:
        """For the program; something that does not count where the turn has no part of the step."""

    def stand_in(self, place: Place) -> Any:
        """For a program on its way to `place`: something that does not count."""

    def used(self) -> None:
        """The program has called backward of the batch that it was given last."""

    def weight(self, batch: Any) -> float | None:
        """By which it counts; None: by its part of the step's positions."""

    def indices(self, epoch: int, positions: Sequence[int]) -> list[int]:
        """Of the data set; none where there is no data set that all have."""

    def __len__(self) -> int:
        """Steps of an epoch."""


class Shared:
    """Each worker gets a part of each batch."""

    def __init__(self, source: Source) -> None:
        self._source, self.described = source, source.described
        self._fetching: Fetching | None = None
        self._given: Any = None
        self._good: Any = None
        """The last batch of which backward was called: a program that passes some over takes this one
        again."""
        self._tried = 0

    def ledger(self, epochs: int, first: int) -> Ledger:
        fresh = SamplerState.fresh(self._source.samples, 0)
        record = replace(fresh, epoch=first, at_once=self._source.at_once)
        return Ledger(record, self._source.batch_size, epochs)

    def begin_epoch(self, foreseen: Foreseen, agreed: Callable[[float], list[float]]) -> None:
        self._fetching = Fetching(self._source, foreseen)

    def over(self, record: SamplerState) -> bool:
        return False

    def batch(self, turn: StepAssignment) -> Any:
        assert self._fetching
        if turn.positions:
            self._given = self._fetching.batch(self.indices(turn.epoch, turn.positions))
        else:
            self._given = self.stand_in(Place(turn.epoch))
        return self._given

    def stand_in(self, place: Place) -> Any:
        return self._any(place.epoch) if self._good is None else self._good

    def _any(self, epoch: int) -> Any:
        """Other samples each time, since the program may not like some."""
        start, self._tried = self._tried, self._tried + STAND_IN
        count = self._source.samples
        positions = [place % count for place in range(start, start + min(STAND_IN, count))]
        return self._source.fetch(self.indices(epoch, positions))

    def used(self) -> None:
        self._good = self._given

    def weight(self, batch: Any) -> float | None:
        return None

    def indices(self, epoch: int, positions: Sequence[int]) -> list[int]:
        """Positions beyond the epoch's are of another one, as groups that share the data may be given."""
        samples, order = self._source.samples, self._source.order
        if not positions or (min(positions) >= 0 and max(positions) < samples):
            return order.indices(epoch, positions)
        found = ((epoch + place // samples, place % samples) for place in positions)
        runs = groupby(found, key=lambda one: one[0])
        return [index for of, run in runs for index in order.indices(of, [place for _, place in run])]

    def __len__(self) -> int:
        return steps_of(self._source.samples, self._source.batch_size)


class EpochLength:
    """Steps of the epoch in which all members are, as they have agreed: part of the state."""

    def __init__(self) -> None:
        self.epoch, self.steps = -1, 0

    def state_dict(self) -> dict[str, int]:
        return {"epoch": self.epoch, "steps": self.steps}

    def load_state_dict(self, state: dict[str, int]) -> None:
        self.epoch, self.steps = state.get("epoch", -1), state.get("steps", 0)


class Own:
    """Each worker goes through data of its own, as its own loader gives them, again and again."""

    def __init__(
        self,
        data: Iterable[Any],
        steps: int | None,
        length: EpochLength,
        epoch: Callable[[], int],
        counted: OwnData,
    ) -> None:
        """`steps` of an epoch; those of the member with the longest data where it is None."""
        self._data, self._length, self._epoch = data, length, epoch
        self._steps, self._counted = steps, counted
        if steps is None:
            # Where the loader is made, and not when an epoch begins, it is said that there is none.
            length_of(data, LOCAL)
        self.described = f"data of each worker's own, {steps or 'all'} steps an epoch"
        self._left: Iterator[Any] = iter(())
        self._given: Any = None
        self._good: Any = None

    def ledger(self, epochs: int, first: int) -> Ledger:
        return Ledger(SamplerState(0, Block(0, ALL_STEPS), 0, first), 1, epochs, common=True)

    def begin_epoch(self, foreseen: Foreseen, agreed: Callable[[float], list[float]]) -> None:
        if self._length.epoch != self._epoch():
            # Anew in each epoch: what a node records may grow while it trains.
            self._length.steps = int(max(agreed(self._own_steps)))
            self._length.epoch = self._epoch()

    def over(self, record: SamplerState) -> bool:
        return record.epoch == self._epoch() and record.cursor >= self._length.steps

    def batch(self, turn: StepAssignment) -> Any:
        again = not turn.positions and self._good is not None
        self._given = self._good if again else self._next()
        return self._given

    def stand_in(self, place: Place) -> Any:
        if self._good is None:
            self._good = self._next()
        return self._good

    def used(self) -> None:
        self._good = self._given

    def weight(self, batch: Any) -> float | None:
        return samples_of(batch)

    def indices(self, epoch: int, positions: Sequence[int]) -> list[int]:
        return []

    def __len__(self) -> int:
        return self._length.steps or self._own_steps

    @property
    def _own_steps(self) -> int:
        return length_of(self._data, LOCAL) if self._steps is None else self._steps

    def _next(self) -> Any:
        batch = next(self._left, _NONE)
        if batch is _NONE:
            self._counted.pass_ended()
            self._left = iter(self._data)
            batch = next(self._left, _NONE)
        if batch is _NONE:
            raise EmptyDataset("this worker's own data have no samples: check the path and the filter")
        self._counted.add(batch)
        return batch


class Numbers:
    """There are no data: the program makes or draws them itself, a step's on each worker."""

    def __init__(self, count: int) -> None:
        self._count, self.described = count, f"{count} steps"

    def ledger(self, epochs: int, first: int) -> Ledger:
        return Ledger(SamplerState(0, Block(0, self._count), 0, first), 1, epochs, common=True)

    def begin_epoch(self, foreseen: Foreseen, agreed: Callable[[float], list[float]]) -> None:
        """There is nothing to be agreed on."""

    def over(self, record: SamplerState) -> bool:
        return False

    def batch(self, turn: StepAssignment) -> int:
        return turn.cursor

    def stand_in(self, place: Place) -> int:
        return place.passed

    def used(self) -> None:
        """A number is as good as another."""

    def weight(self, batch: Any) -> float | None:
        return None

    def indices(self, epoch: int, positions: Sequence[int]) -> list[int]:
        return []

    def __len__(self) -> int:
        return self._count
