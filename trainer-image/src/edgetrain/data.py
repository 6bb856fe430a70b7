"""Which sample goes where: the committed data record, and how a step's batch is cut from it. Pure.

The record is part of every member's state and moves only when a step commits. Nothing is leased:
what a lost member held in hand goes back into the record by the very commit that does without it.
Positions count along the epoch's order; `epoch_order` turns them into indices of the data set.
"""

from collections.abc import Callable, Collection, Mapping
from typing import NamedTuple, Self

from msgspec import Struct
from msgspec.structs import replace

from edgetrain.shares import SMALLEST, apportion

ALL_STEPS = 1 << 40
"""More than any epoch has: where it ends is the program's to say."""


class Block(NamedTuple):
    """A run of positions of the epoch's order."""

    start: int
    stop: int


class SamplerState(Struct, frozen=True):
    """What of the current epoch has been trained on, in committed steps.

    Raises:
        ValueError: the block is empty, or the cursor outside it.
    """

    seed: int
    block: Block
    cursor: int
    """Positions of the block before this one have been handed out."""
    epoch: int = 0
    samples: int = 0
    """Of the whole set; 0 where the block is all of it."""
    returned: tuple[int, ...] = ()
    """Handed out, then lost with a member before their step was committed: they go out again first."""
    at_once: bool = False
    """... all of them with the next step."""

    def __post_init__(self) -> None:
        if self.block.start >= self.block.stop:
            raise ValueError(f"block {tuple(self.block)} has no samples")
        if not self.block.start <= self.cursor <= self.block.stop:
            raise ValueError(f"cursor {self.cursor} lies outside block {tuple(self.block)}")

    @classmethod
    def fresh(cls, samples: int, seed: int) -> Self:
        """The start of a run over `samples` samples."""
        return cls(seed=seed, block=Block(0, samples), cursor=0, samples=samples)

    @property
    def left(self) -> int:
        """Samples of this epoch that no committed step has seen."""
        return self.block.stop - self.cursor + len(self.returned)

    def rolled(self) -> Self:
        """The same, with the next epoch begun if this one is over."""
        untouched = self.cursor == self.block.start and not self.returned
        if self.left and not untouched:
            return self
        block = Block(0, self.samples or self.block.stop)
        return replace(self, epoch=self.epoch + (not self.left), block=block, cursor=block.start)

    def in_epoch(self, epoch: int) -> Self:
        """In this epoch or a later one: what was left of one before is left out."""
        rolled = self.rolled()
        if rolled.epoch >= epoch:
            return rolled
        return replace(self, epoch=epoch, cursor=self.block.start, returned=())

    def over(self, epochs: int) -> bool:
        """Whether `epochs` epochs are done."""
        return self.rolled().epoch >= epochs

    def part_done(self, epochs: int) -> float:
        """0 to 1; by whole epochs where nobody knows how long one is."""
        size = self.block.stop - self.block.start
        of_this = 1 - self.left / size if size < ALL_STEPS else 0.0
        return min(1.0, (self.epoch + of_this) / epochs)


Over = Callable[[SamplerState], bool]
"""Whether an epoch is over, where its record does not tell: of data that each worker has for itself."""


class BatchPartition(Struct, frozen=True):
    """One step's batch, shared out. Becomes part of the record when the step commits."""

    epoch: int
    slices: Mapping[str, tuple[int, ...]]
    """Positions by holder."""
    after: SamplerState
    """The record once this step is committed."""

    @property
    def samples(self) -> int:
        return sum(map(len, self.slices.values()))

    def kept_by(self, holders: Collection[str]) -> Self:
        """The same step without those who hold their part no more: it returns to the record."""
        lost = [position for name, part in self.slices.items() if name not in holders for position in part]
        return replace(
            self,
            slices={name: part for name, part in self.slices.items() if name in holders},
            after=replace(self.after, returned=self.after.returned + tuple(lost)),
        )


def cut(record: SamplerState, batch: int, weights: Mapping[str, float]) -> BatchPartition:
    """Cut the next step's batch of `batch` samples, never across two epochs.

    What was returned enlarges the batches that are left of the epoch, so that it has as many steps as
    without a loss; but for what is returned by its last step, see `Ledger.adds_a_step`. One sample more or
    less where a single one would be left over. `weights` (positive) say how much of it each holder gets.
    All members get the same answer.
    """
    record = record.rolled()
    ahead = record.block.stop - record.cursor
    fresh = _take(ahead, batch)
    more = _more(record, ahead, batch) if record.returned else 0
    again, rest = record.returned[:more], record.returned[more:]
    stop = record.cursor + fresh
    positions = again + tuple(range(record.cursor, stop))
    return BatchPartition(
        epoch=record.epoch,
        slices=split(positions, weights),
        after=replace(record, cursor=stop, returned=rest),
    )


def step_for_all(record: SamplerState, holders: Collection[str]) -> BatchPartition:
    """The next position, for each of them: a batch of its own."""
    each = (record.cursor,)
    after = replace(record, cursor=record.cursor + 1)
    return BatchPartition(record.epoch, dict.fromkeys(sorted(holders), each), after)


def _take(there: int, most: int) -> int:
    take = min(most, there)
    if there - take == 1 and most >= SMALLEST:
        take += -1 if take > SMALLEST else 1
    return take


def _more(record: SamplerState, ahead: int, batch: int) -> int:
    """Of what was returned, so much goes with the next step; `ahead`: samples that were never handed out."""
    there, steps = len(record.returned), steps_of(ahead, batch)
    if record.at_once:
        return there
    return -(-there // steps) if steps else _take(there, batch)


def steps_of(samples: int, batch: int) -> int:
    """In how many steps `cut` hands so many samples out."""
    whole, rest = divmod(samples, batch)
    if rest == 1 and whole and batch == SMALLEST:
        return whole
    return whole + (rest > 0)


def split(positions: tuple[int, ...], weights: Mapping[str, float]) -> dict[str, tuple[int, ...]]:
    """By holder, in parts as large as their weights are."""
    start, slices = 0, {}
    for holder, count in apportion(len(positions), weights).items():
        slices[holder] = positions[start : start + count]
        start += count
    return slices
