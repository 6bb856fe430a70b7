"""The step engine of one member of a job, between the program's thread and the supervisor's orders.

A step is attempted in the formation of the moment: reduced into scratch (prepared), then voted
(committed). When the formation breaks, the thread waits, inside `reduce_step`, for the next one, and
what becomes of the step is decided there. Parameters only ever move at a commit, so the state is
whole at every loop boundary; that is where it is captured and replaced.
"""

import contextlib
import time
from collections.abc import Callable
from dataclasses import replace

import torch

from edgetrain.credentials import Credentials
from edgetrain.data import Cut
from edgetrain.engine.entry import Agreement, Standing, checksum, enter, layout_number, spread
from edgetrain.engine.flat import Flat
from edgetrain.engine.gloo import GroupBroken
from edgetrain.engine.holdings import Holdings
from edgetrain.engine.ledger import Ledger
from edgetrain.engine.meter import Meter
from edgetrain.engine.reduce import Reduction
from edgetrain.engine.replay import Entry
from edgetrain.engine.seat import Seat
from edgetrain.engine.turn import Step, Superseded, Turn
from edgetrain.engine.vote import Ballot, Outcome, vote
from edgetrain.local import Decision, FormationId, Message, Position, Prepared

COMPARE_EVERY = 100
"""Steps between comparisons of the members' parameters: other processors' kernels differ in the last bits."""


class Member(Holdings):
    """State and steps of one member. Methods are the program's thread's unless they say otherwise."""

    def __init__(
        self,
        flat: Flat,
        ledger: Ledger,
        layout: list[str],
        *,
        send: Callable[[Message], None],
        meter: Meter,
        credentials: Credentials,
    ) -> None:
        super().__init__(ledger, send, credentials)
        self.save_due = False
        """The last vote asked for a checkpoint at this boundary."""
        self.held = 0
        self.last: Step | None = None
        """What came of the last batch; None if nothing did."""
        self._flat, self._layout, self._meter = flat, layout, meter
        self._local, self._scratch = torch.zeros(flat.size), torch.zeros(flat.size)
        self._compare, self._drifted, self._saved_at = True, False, time.monotonic()

    # --- at the loop's boundary

    def next_turn(self) -> Turn | None:
        """What to do at this boundary, with `changed` held: a turn, or None for nothing yet."""
        if entry := self.catch_up.take_step(self.position.committed):
            return Turn(entry.ledger.record.epoch, (), replay=entry)
        self.catch_up.tell(self.position)
        seat = self.seat_entered
        if not seat or self._drifted or not self.ledger.cut:
            return None
        mine = self.ledger.cut.slices.get(self.holder, ())
        self.in_hand = mine
        return Turn(self.ledger.cut.epoch, mine)

    def seat_to_enter(self) -> Seat | None:
        """A built formation for which this member's state is ready, with `changed` held."""
        seat = self.formations.seat
        if not seat or not seat.open:
            return None
        target = seat.form.step - (seat.form.decision is Decision.REDO)
        if self.position.committed < target:
            self.catch_up.follow_member(seat.form, self.usable)
            return None
        return seat

    def enter(self, seat: Seat) -> None:
        """Agree with the other members. A failure has been reported when this returns.

        Raises:
            ModelMismatch: this program does not train what the others train.
        """
        cut_number = self.ledger.cut_in.number if self.ledger.cut_in else 0
        standing = Standing(
            committed=self.position.committed,
            in_sync=int(self.in_sync),
            cut_number=cut_number,
            layout=layout_number(self._layout),
            holder=self.incarnation,
            in_hand=checksum(self.in_hand),
        )
        with contextlib.suppress(GroupBroken):
            self.formations.run(
                seat,
                lambda reduction: enter(
                    reduction, seat.form, standing, self.ledger, self._flat, self._layout
                ),
                lambda agreement: self._entered(seat, agreement),
            )

    def settle_drift(self) -> None:
        """Take the aggregator's bits, after members' parameters were found to differ."""
        with self.changed:
            seat = self.seat_entered
            self._drifted = self._drifted and seat is not None
        if not seat or not self._drifted:
            return
        hub = [peer.worker for peer in seat.form.members].index(seat.form.aggregator)
        with contextlib.suppress(GroupBroken):
            self.formations.run(seat, lambda reduction: spread(reduction, self._flat, hub), self._settled)

    def _settled(self, whole: torch.Tensor | None) -> None:
        if whole is not None:
            self._flat.set_whole(whole)
        self._drifted = False

    @property
    def drifted(self) -> bool:
        return self._drifted

    # --- a step

    def reduce_step(self, turn: Turn, loss: float, computed: int) -> None:
        """Make the step's gradients the group's committed mean.

        `computed` samples went through the model; `loss` is their mean.

        Raises:
            Superseded: there is no such mean for this member; its gradients are empty now.
            SystemExit: the supervisor asked to stop, or is gone.
        """
        self._meter.computed(computed)
        if turn.replay:
            self._commit(turn.replay, None)
            return
        self._flat.pack(self._local, len(turn.positions), loss)
        self._meter.enter("wait")
        while not self._go_on(turn):
            pass

    def _go_on(self, turn: Turn) -> bool:
        """Do what can be done for this step now, or wait for a change; says whether it is committed."""
        with self.changed:
            self._obey()
            if self._may_apply():
                self._apply()
                return True
            if entry := self.catch_up.take_step(self.position.committed):
                self._commit(entry, None)
                return True
            self.catch_up.tell(self.position)
            seat, ready = self.seat_entered, self.seat_to_enter()
            if not seat and not ready:
                self.changed.wait()
                return False
        if ready:
            self.enter(ready)
        return seat is not None and self._attempt(seat, turn)

    def _obey(self) -> None:
        """Orders that end or replace this step."""
        if self.orders.closed or (self.orders.stop and not self.seat_alive):
            raise SystemExit(0 if self.orders.stop else 1)
        if self.orders.start or self.catch_up.needs_snapshot:
            self._flat.clear_gradients()
            self.in_sync = False
            self.in_hand = self.last = None
            raise Superseded

    def _may_apply(self) -> bool:
        """Not before the group is built, which shows that nobody was put out of it meanwhile.

        Nor once it was left: a position that was told in leaving must not change by a decision of before.
        """
        seat, prepared = self.formations.seat, self.position.prepared
        if not seat or not prepared or not seat.built or seat.left:
            return False
        return seat.form.decision is Decision.APPLY and seat.form.step == prepared.step

    def _apply(self) -> None:
        """Commit what is prepared: all who count hold it, or somebody has committed it."""
        prepared = self.position.prepared
        if prepared:
            done = self.ledger.committed(prepared.step, self._flat.loss(self._scratch))
            self._commit(Entry(prepared.step, prepared.formation, self._scratch, done), self.ledger.cut)

    def _attempt(self, seat: Seat, turn: Turn) -> bool:
        step = self.position.committed + 1
        with self.changed:
            mine = self.ledger.cut.slices.get(self.holder, ()) if self.ledger.cut else ()
        if turn.positions == mine:
            self._scratch.copy_(self._local)
        else:
            # The part was given back to the record when this formation was entered.
            self._scratch.zero_()
        scratch, ballot = self._scratch, self._ballot(seat, step)

        def reduce_and_vote(reduction: Reduction) -> Outcome:
            reduction.sum(scratch)
            self._prepare(seat, step)
            return vote(reduction, ballot)

        self._meter.enter("reduce")
        try:
            self.formations.run(seat, reduce_and_vote, lambda outcome: self._voted(seat, step, outcome))
        except GroupBroken:
            if not self.position.prepared:
                # The sum may still be running, or bytes of it still be coming in.
                self._scratch = torch.zeros(self._flat.size)
            return False
        return True

    def _prepare(self, seat: Seat, step: int) -> None:
        """By the formation's thread."""
        with self.changed:
            if seat.left:
                raise GroupBroken("the formation was left")
            self.position = replace(self.position, prepared=Prepared(seat.id, step))
            self._meter.enter("vote")

    def _ballot(self, seat: Seat, step: int) -> Ballot:
        compare = self._compare or step % COMPARE_EVERY == 0
        due = time.monotonic() - self._saved_at >= seat.form.checkpoint_every_seconds
        leads = seat.form.members[seat.form.rank].worker == seat.form.aggregator
        return Ballot(
            step=step,
            hold_revision=self.orders.hold_revision,
            reform=self.orders.reform,
            save=due and leads,
            speed=self._meter.speed,
            digest=self._flat.digest() if compare else 0,
        )

    def _voted(self, seat: Seat, step: int, outcome: Outcome) -> None:
        speeds = dict(zip(seat.holders, outcome.speeds, strict=True))
        done = self.ledger.committed(step, self._flat.loss(self._scratch))
        ledger = done.with_speeds(speeds, alike=seat.form.shares == "equal")
        self._compare, self._drifted = False, outcome.drifted
        self.held, self.save_due = outcome.held, outcome.save
        if outcome.save:
            self._saved_at = time.monotonic()
        self._commit(Entry(step, seat.id, self._scratch, ledger), self.ledger.cut)
        if outcome.reform:
            self.orders.reform = False
            self.formations.stop_cleanly(seat)
        else:
            # Now, not at the next boundary: should the formation break before somebody gets there,
            # all who committed still agree on who had which part of the next step.
            self.ledger = self.ledger.share_out(seat.id, seat.holders)

    def _commit(self, entry: Entry, cut: Cut | None) -> None:
        """`cut` is who had which part of it, where that is known."""
        with self.changed:
            self.position = Position(entry.formation.lineage, entry.formation, entry.step)
            self.ledger = entry.ledger
            self.in_hand = None
            self.log.append(replace(entry, total=entry.total.clone()))
        self._flat.unpack(entry.total)
        loss = self._flat.loss(entry.total)
        parts = [part for part in cut.slices.values() if part] if cut else []
        positions = tuple(position for part in parts for position in part)
        epoch, lineage = entry.ledger.record.epoch, entry.formation.lineage
        self.last = Step(entry.step, epoch, loss, positions, len(parts), lineage)
        self._tell(entry.formation, self.last)

    def _tell(self, formation: FormationId, step: Step) -> None:
        ledger = self.ledger
        progress = replace(
            self._meter.progress,
            formation=formation,
            step=step.number,
            epoch=step.epoch,
            percent=100.0 * ledger.record.part_done(ledger.epochs),
            loss=step.loss,
            not_finite_since=ledger.not_finite_since,
            samples=ledger.samples,
            samples_returned=ledger.returned,
            reduce_bytes=self._flat.bytes,
            share=ledger.weights.get(self.holder, 0.0),
            held=self.held,
        )
        self._meter.committed(progress, len(step.positions), self.formations.traffic.carried())

    # --- helpers, with `changed` held

    def _entered(self, seat: Seat, agreement: Agreement) -> None:
        if agreement.whole is not None and not self.in_sync:
            self._flat.set_whole(agreement.whole)
        self.ledger = agreement.ledger
        # What scratch held is nobody's any more once a redo was decided, and the ledger has moved on.
        self.position = replace(self.position, lineage=seat.id.lineage, prepared=None)
        self.in_sync, self._compare = True, True
        seat.entered, seat.holders = True, agreement.holders
        self.catch_up.stop()
