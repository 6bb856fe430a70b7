"""Attempts at a step: its gradients go into scratch and through a formation's job, whatever becomes of it."""

import contextlib
from collections.abc import Callable
from dataclasses import dataclass, replace
from typing import TypeVar

import torch
from msgspec import structs

from edgetrain.engine.agreeing import place_number
from edgetrain.engine.assignment import StepAssignment
from edgetrain.engine.buckets import Buckets, largest_bytes
from edgetrain.engine.formation.active_formation import ActiveFormation, Operation
from edgetrain.engine.formation.commit_vote import CommitVote, VoteOutcome
from edgetrain.engine.formation.formations import Formations
from edgetrain.engine.formation.gloo import GroupBroken
from edgetrain.engine.formation.numbers import MOST, exchange
from edgetrain.engine.formation.proposals import Told, tell
from edgetrain.engine.formation.reducer import Ready, Reducer
from edgetrain.engine.formation.step_job import StepJob
from edgetrain.engine.meter import Meter
from edgetrain.engine.monitor import Monitor, held
from edgetrain.engine.orders import Orders
from edgetrain.engine.packing import Packing
from edgetrain.engine.replica import ReplicaState
from edgetrain.engine.state.flat_model import FlatModel
from edgetrain.engine.step_kind import StepKind
from edgetrain.engine.summation import Summation
from edgetrain.engine.summations import summation_of
from edgetrain.engine.transfer.replay_log import Entry
from edgetrain.link import Prepared
from edgetrain_protocol.strategy import Payload

Settled = TypeVar("Settled")


@dataclass(frozen=True)
class Attempt:
    """A step that was begun in a formation."""

    active: ActiveFormation
    step: int
    job: StepJob
    operation: Operation[VoteOutcome]
    packing: Packing | None
    """None for a step of numbers."""
    place: int
    """Of the program, as votes have it."""


class Attempts:
    """Methods are the program's thread's unless they say otherwise."""

    def __init__(
        self,
        monitor: Monitor,
        replica: ReplicaState,
        formations: Formations,
        flat: FlatModel,
        meter: Meter,
        orders: Orders,
    ) -> None:
        self._monitor, self._replica, self._formations = monitor, replica, formations
        self._orders = orders
        self._flat, self._meter = flat, meter
        self.sum = torch.empty(flat.size)
        """Scratch for gradients."""
        self._total = self.sum
        self.proposed = Told()
        """Of the last attempt that merges."""
        self.kind = StepKind.BATCH
        """Of the last attempt."""
        self._part = self._counted = 0.0
        """This member's part of the last attempt's batch, and of the last committed one."""
        self._summation: Summation | None = None
        """The one that makes the sum."""
        self.payload = Payload.FP32
        """Of the last attempt."""
        self._spare: torch.Tensor | None = None
        """Room for a residue that nobody writes to or needs any more."""
        self._early: Attempt | None = None
        """Under way while backward runs."""
        self._early_forbidden = False
        """Backward makes some gradients twice: what goes out while it runs would be half of them."""
        self._followed = False
        """Backward tells of each gradient that it has made, which costs something."""

    @property
    def total(self) -> torch.Tensor:
        """While a step is prepared, what it comes to."""
        return self.proposed.version if self.kind is StepKind.MERGE else self._total

    # --- beside backward

    def begin_early(self, active: ActiveFormation, turn: StepAssignment, loss: float) -> None:
        """From now on gradients go out as backward makes them, if they may."""
        with self._monitor:
            several = len(self._buckets(active).each) > 1
        if several and not self._early_forbidden:
            self._follow()
            with contextlib.suppress(GroupBroken):
                self._early = self.begin(active, turn, loss)

    def take(self) -> Attempt | None:
        """What was begun before backward, now that it is over; once."""
        attempt, self._early = self._early, None
        return attempt

    def abandon(self, why: str) -> None:
        """Backward has failed: the others shall not wait."""
        if attempt := self.take():
            self._formations.abandon(attempt.active, why)
            self._renew()

    def give_up(self, attempt: Attempt) -> None:
        """Something else has come in its place."""
        attempt.job.give_up()
        self._renew()

    def _follow(self) -> None:
        if not self._followed:
            self._followed = True
            self._flat.on_gradient(self._arrived)

    def _arrived(self, place: int) -> None:
        if self._early and self._early.packing:
            self._early.packing.arrived(place)

    # --- in a formation

    def begin(self, active: ActiveFormation, turn: StepAssignment, loss: float) -> Attempt:
        """
        Args:
            loss: mean of this member's part of the batch.

        Raises:
            GroupBroken: the formation was left.
        """
        self.kind = turn.kind
        with self._monitor:
            step = self._replica.position.committed + 1
            if turn.kind is StepKind.BATCH:
                # Also where the formation has been entered since, with a ledger of before the epoch.
                self._replica.enter_epoch(turn.epoch, active)
            self._part, place = self._part_of(turn), self._place_of(turn)
        job, packing = self._job(active, step, turn, loss)
        return Attempt(active, step, job, self._formations.begin(active, job, job.give_up), packing, place)

    def _job(
        self, active: ActiveFormation, step: int, turn: StepAssignment, loss: float
    ) -> tuple[StepJob, Packing | None]:
        match turn.kind:
            case StepKind.NUMBERS:
                return self._numbers(active, step, turn), None
            case StepKind.MERGE:
                return self._merge(active, step, turn), None
            case _:
                return self._gradients(active, step, loss)

    @held
    def _part_of(self, turn: StepAssignment) -> float:
        """The part of the step's samples that this member has gradients of."""
        if turn.kind is not StepKind.BATCH:
            return self._counted
        mine, cut = self._replica.mine, self._replica.ledger.cut
        # Where it is another part, this one was given back to the record when the formation was entered.
        if not cut or not mine or turn.positions != mine:
            return 0.0
        return (len(mine) if turn.weight is None else turn.weight) / cut.samples

    @held
    def _place_of(self, turn: StepAssignment) -> int:
        cut = self._replica.ledger.cut
        if turn.kind is not StepKind.BATCH or cut is None:
            return place_number(turn.epoch, 0)
        return place_number(cut.epoch, self._replica.cursor)

    def _gradients(self, active: ActiveFormation, step: int, loss: float) -> tuple[StepJob, Packing]:
        with self._monitor:
            before, buckets = self._replica.carried, self._buckets(active)
            finish = self._orders.finish
        # Alone there is nobody to pack anything for.
        self.payload = active.form.terms.payload if len(active.form.members) > 1 else Payload.FP32
        summation = summation_of(self.payload, self._flat, buckets, self.sum, before, self._room)
        self._summation, self._total = summation, self.sum
        job = StepJob(
            summation.sum, lambda whole: self._prepare(active, step, whole), lambda: packing.again()
        )
        packing = Packing(self._flat, buckets, self.sum, self._part, loss, job.ready, finish=finish)
        return job, packing

    def _numbers(self, active: ActiveFormation, step: int, turn: StepAssignment) -> StepJob:
        # Of its own: a job that is left behind may still write to it.
        table = torch.zeros(len(active.form.members), MOST, dtype=torch.float64)
        self._summation, self._total = None, table.view(torch.float32).view(-1)

        def gather(reducer: Reducer, ready: Ready) -> None:
            exchange(reducer, step, turn.numbers, table)

        return StepJob(gather, lambda whole: self._prepare(active, step, whole), lambda: None, sums_rows=True)

    def _merge(self, active: ActiveFormation, step: int, turn: StepAssignment) -> StepJob:
        # Of its own, as numbers.
        self._summation, self.proposed = None, (told := Told())
        own = turn.proposal or Told()

        def gather(reducer: Reducer, ready: Ready) -> None:
            tell(reducer, step, own, active.form.hub, told)

        return StepJob(gather, lambda whole: self._prepare(active, step, whole), lambda: None, sums_rows=True)

    def conclude(
        self, attempt: Attempt, own: CommitVote, settle: Callable[[VoteOutcome], Settled]
    ) -> Settled:
        """Wait for its vote; `settle`, with the monitor held, draws the consequences and says what to return.

        Raises:
            GroupBroken: the group failed or was left. The supervisor has been told.
        """
        spoilt = bool(attempt.packing and attempt.packing.finish())
        self._early_forbidden = self._early_forbidden or spoilt
        whole = structs.replace(own, again=spoilt) if spoilt else own
        try:
            return self._formations.conclude(
                attempt.active, attempt.operation, settle, release=lambda: attempt.job.finish(whole)
            )
        except GroupBroken:
            if not self._replica.position.prepared:
                self._renew()
            raise

    def _prepare(self, active: ActiveFormation, step: int, whole: bool) -> None:
        """By the formation's thread: the sum is whole, or is no longer."""
        with self._monitor:
            if active.left:
                raise GroupBroken("the formation was left")
            prepared = Prepared(active.id, step) if whole else None
            self._replica.position = replace(self._replica.position, prepared=prepared)
            self._meter.enter("vote" if whole else "reduce")

    @held
    def _buckets(self, active: ActiveFormation) -> Buckets:
        return self._flat.buckets(largest_bytes(self._flat.bytes, active.sum_seconds))

    @held
    def keep(self, entry: Entry) -> None:
        """A committed step goes into the log, which has its vector then.

        What its sum has left out is carried on, unless others have made that sum without this member.
        """
        replica = self._replica
        replica.log.append(entry)
        own = replica.position.prepared == Prepared(entry.formation, entry.step)
        if entry.kind is StepKind.BATCH:
            self._counted = self._part if own else 0.0
        if self._summation and own:
            self._spare, replica.carried = replica.carried.residue, self._summation.after
        if entry.total is self.sum:
            self.sum = replica.log.vector(self._flat.size)

    def _room(self) -> torch.Tensor:
        """For a residue."""
        spare, self._spare = self._spare, None
        return torch.empty(self._flat.size) if spare is None else spare

    def _renew(self) -> None:
        """The sum may still be running, or bytes of it still be coming in: leave it that room."""
        self.sum = torch.empty(self._flat.size)
