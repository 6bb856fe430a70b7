"""What all members of a formation know alike, beside the tensors: record, shares, the step in hand. Pure."""

import math
from collections.abc import Collection, Iterator, Mapping
from typing import Self

import msgspec
from msgspec.structs import replace

from edgetrain.data import BatchPartition, Block, SamplerState, cut, split, step_for_all
from edgetrain.link import FormationId
from edgetrain.rounds.blocks import first, joined
from edgetrain.rounds.group_work import GroupWork
from edgetrain.shares import equal, follow_speeds


class Ledger(msgspec.Struct, frozen=True):
    """Moves with each commit, on every member in the same way. Holders are members' incarnations."""

    record: SamplerState
    batch: int
    """Samples of a whole step."""
    epochs: int
    common: bool = False
    """Each holder brings in a batch of its own: a position is a step, and everybody's."""
    weights: Mapping[str, float] = msgspec.field(default_factory=dict)
    """Of the batch, by holder, summing to 1."""
    samples: int = 0
    """In committed steps."""
    not_finite_since: int | None = None
    """The first of the last committed steps in a row whose loss was not finite."""
    returned: int = 0
    """Samples that went back into the record with a lost member."""
    cut: BatchPartition | None = None
    """The step after the last committed one, once a formation has shared it out."""
    cut_in: FormationId | None = None
    """The formation that shared out `cut`."""
    work: GroupWork | None = None
    """Where the group is in rounds with others, which says what it trains on; None where it is in none."""
    finishing: bool = False
    """The job ends early: no further epoch begins. From the first committed step on in which any member had
    been told so, for good."""

    @property
    def over(self) -> bool:
        """Whether all epochs are done."""
        return self.record.over(self.epochs)

    @property
    def idle(self) -> bool:
        """In rounds, it has nothing to train on for now. Of data of a worker's own the record does not tell,
        see `Over`."""
        return not (self.common or self.over or (self.work and self.work.untrained))

    def share_out(self, formation: FormationId, holders: Collection[str]) -> Self:
        """Cut the next step's batch for these holders, unless all is trained.

        Who is new gets the mean of the others. For nobody, where all still have an older batch in hand:
        such a step trains on nothing.
        """
        if self.over:
            return self
        if not holders:
            nothing = BatchPartition(self.record.epoch, {}, self.record)
            return replace(self, cut=nothing, cut_in=formation)
        if self.common:
            return replace(self, cut=step_for_all(self.record, holders), cut_in=formation)
        known = [self.weights[name] for name in holders if name in self.weights]
        mean = sum(known) / len(known) if known else 1.0
        weights = {name: self.weights.get(name, mean) for name in holders}
        if self.work:
            return self._leased_out(self.work, formation, weights)
        return replace(self, cut=cut(self.record, self.batch, weights), cut_in=formation)

    def ended(self) -> Self:
        """With nothing left to train on in any epoch."""
        return replace(self.at_rest(), record=self.record.in_epoch(self.epochs))

    def part_done(self, epochs: int) -> float:
        """Of the run's samples, 0 to 1."""
        shared = self.work is not None and not self.common
        return self.work.merged / self.work.total if self.work and shared else self.record.part_done(epochs)

    def in_epoch(self, epoch: int) -> Self:
        """For a program that is in this epoch: what it has left of one before is left out."""
        if self.record.rolled().epoch >= epoch:
            return self
        return replace(self, record=self.record.in_epoch(epoch), cut=None, cut_in=None)

    def in_loop(self, fresh: Self) -> Self:
        """For a program that is in a later loop, of which nothing is trained yet: over those data."""
        if self.epochs >= fresh.epochs:
            return self
        return replace(
            fresh,
            weights=self.weights,
            samples=self.samples,
            returned=self.returned,
            not_finite_since=self.not_finite_since,
            finishing=self.finishing,
        )

    def kept_by(self, holders: Collection[str]) -> Self:
        """The step in hand without those who hold their part no more."""
        if self.cut is None:
            return self
        kept, elsewhere = self.cut.kept_by(holders), self.common or self.work is not None
        if elsewhere:
            # Nobody else can train on what was its own; and what is leased stays so until it is trained on.
            kept = replace(kept, after=self.cut.after)
        returned = self.returned + (0 if self.common else self.cut.samples - kept.samples)
        if not kept.samples:
            # Nobody holds any of it: a step without a gradient would only move momenta.
            record = self.record if elsewhere else kept.after
            return replace(self, record=record, returned=returned, cut=None, cut_in=None)
        return replace(self, cut=kept, returned=returned)

    def adds_a_step(self, before: Self) -> bool:
        """Whether the step in hand is the last of its epoch and, unlike `before`, leaves samples to another
        one."""
        if self.work or self.cut is None or before.cut is None or self.cut.samples == before.cut.samples:
            return False
        return bool(self.cut.after.left) and self.cut.after.cursor == self.cut.after.block.stop

    def committed(self, step: int, loss: float, samples: int | None = None) -> Self:
        """After the step in hand was committed, as this number and with this mean loss; `samples`: so many
        where positions are none."""
        if self.cut is None:
            raise ValueError("no step is in hand")
        in_step = self.cut.samples if samples is None else samples
        since = self.not_finite_since
        if self.cut.samples:
            since = None if math.isfinite(loss) else since or step
        done, after = self.samples + in_step, self.cut.after
        work = self.work.stepped(self._trained(self.cut), in_step) if self.work else None
        return replace(
            self, record=after, samples=done, not_finite_since=since, work=work, cut=None, cut_in=None
        )

    def told_to_finish(self) -> Self:
        """With no epoch after this one."""
        return replace(self, finishing=True)

    def with_speeds(self, speeds: Mapping[str, float], *, alike: bool) -> Self:
        """With the next shares, from the members' samples a second; `alike`: equal ones."""
        return replace(self, weights=equal(speeds) if alike else follow_speeds(self.weights, speeds))

    def at_rest(self) -> Self:
        """As a snapshot has it: the step in hand is shared out anew by whoever goes on from there."""
        return replace(self, cut=None, cut_in=None)

    def foreseen(self, holder: str) -> Iterator[tuple[int, tuple[int, ...]]]:
        """Epoch and positions of this holder's parts of the steps after the one in hand, should nothing
        change."""
        cut_last = self.cut
        if self.common or self.work or cut_last is None or holder not in cut_last.slices:
            return
        weights = {name: self.weights.get(name, 1.0 / len(cut_last.slices)) for name in cut_last.slices}
        while not cut_last.after.over(self.epochs):
            cut_last = cut(cut_last.after, self.batch, weights)
            yield cut_last.epoch, cut_last.slices[holder]

    def merged(self, work: GroupWork) -> Self:
        """Once the group is there, by the log of rounds."""
        after = replace(self.at_rest(), work=work)
        return after.ended() if work.over else after

    def _leased_out(self, work: GroupWork, formation: FormationId, weights: Mapping[str, float]) -> Self:
        """As `share_out`. Positions are counted from the start of the epoch of the first of them."""
        if not (blocks := first(work.untrained, self.batch)):
            return self.at_rest()
        samples = self.record.samples
        record = self.record.in_epoch(max(self.record.epoch, blocks[0].start // samples))
        start = record.epoch * samples
        positions = tuple(place - start for block in blocks for place in range(*block))
        part = BatchPartition(record.epoch, split(positions, weights), record)
        return replace(self, record=record, cut=part, cut_in=formation)

    def _trained(self, part: BatchPartition) -> tuple[Block, ...]:
        """Of what groups lease: nothing, where data are its own."""
        if self.common:
            return ()
        start = part.epoch * self.record.samples
        positions = (start + place for places in part.slices.values() for place in places)
        return joined(Block(place, place + 1) for place in positions)

    def to_json(self) -> bytes:
        return msgspec.json.encode(self)

    @classmethod
    def from_json(cls, text: bytes | str) -> Self:
        """Raises msgspec.MsgspecError: it is something else."""
        return msgspec.json.decode(text, type=cls)
