"""The steps of one member of a job, between the program's thread and the supervisor's orders.

A step is attempted in the formation of the moment: reduced into scratch (prepared), then voted
(committed). When the formation breaks, the thread waits, inside `reduce_step`, for the next one, and
what becomes of the step is decided there. Parameters only ever move at a commit, so the state is
whole at every loop boundary; that is where it is captured and replaced.
"""

import logging
import time
from collections.abc import Callable

from edgetrain.credentials import Credentials
from edgetrain.data import BatchPartition
from edgetrain.engine.agreeing import agree_on_kind, agree_on_place
from edgetrain.engine.assignment import Rewound, StepAssignment, Superseded
from edgetrain.engine.attempts import Attempt, Attempts
from edgetrain.engine.committing import Committing
from edgetrain.engine.drifts import Drifts
from edgetrain.engine.entering import Entering
from edgetrain.engine.formation.active_formation import ActiveFormation
from edgetrain.engine.formation.commit_vote import CommitVote, VoteOutcome
from edgetrain.engine.formation.formations import Formations
from edgetrain.engine.formation.gloo import GroupBroken
from edgetrain.engine.in_rounds import InRounds
from edgetrain.engine.merging import Merging
from edgetrain.engine.meter import Meter
from edgetrain.engine.monitor import Monitor, held
from edgetrain.engine.orders import Orders
from edgetrain.engine.replica import ReplicaState
from edgetrain.engine.state.flat_model import FlatModel
from edgetrain.engine.state.ledger import Ledger
from edgetrain.engine.state.shared_vector import SharedVectors
from edgetrain.engine.step_kind import StepKind
from edgetrain.engine.transfer.catch_up import CatchUp
from edgetrain.engine.transfer.replay_log import Entry
from edgetrain.link import Decision, Message, Prepared
from edgetrain_protocol.history import History
from edgetrain_protocol.strategy import Shares

log = logging.getLogger(__name__)


class StepEngine:
    """Methods are the program's thread's unless they say otherwise."""

    def __init__(
        self,
        flat: FlatModel,
        ledger: Ledger,
        layout: list[str],
        vectors: SharedVectors,
        *,
        send: Callable[[Message], None],
        meter: Meter,
        credentials: Credentials,
    ) -> None:
        self._monitor = Monitor()
        self.orders = Orders()
        self.replica = ReplicaState(ledger)
        self.formations = Formations(self._monitor, send, lambda: self.replica.position, credentials)
        self.catch_up = CatchUp(self._monitor, send, credentials)
        self.rounds = InRounds(self._monitor, self.replica, vectors, layout, credentials, send)
        self._drifts = Drifts(send, meter)
        self.entering = Entering(
            self._monitor,
            self.replica,
            self.formations,
            self.catch_up,
            flat,
            layout,
            self._drifts,
            self.orders,
        )
        self.save_due = False
        """The last vote asked for a checkpoint at this boundary."""
        self._flat, self._meter = flat, meter
        self._attempts = Attempts(self._monitor, self.replica, self.formations, flat, meter, self.orders)
        self._saved_at = time.monotonic()
        self.committing = Committing(
            self._monitor, self.replica, self._attempts, flat, meter, self.formations.traffic, self.rounds
        )
        self.merging = Merging(self, self._attempts, self._decided, self._tried)

    @property
    def monitor(self) -> Monitor:
        """Guards all that is shared with other threads; notified whenever something can go on."""
        return self._monitor

    # --- at the loop's boundary

    @held
    def next_assignment(self, epoch: int) -> StepAssignment | None:
        """What to do at this boundary; None for nothing yet. `epoch`: in which the program is."""
        replica = self.replica
        if entry := self.committing.next_of(self.catch_up, counted=self.entering.counted):
            return StepAssignment(entry.ledger.record.epoch, (), replica.cursor, replay=entry)
        kind = self.catch_up.next_kind(replica.position.committed)
        if kind in (StepKind.AGAIN, StepKind.NUMBERS):
            # The program comes to it on its way to the next backward.
            return StepAssignment(epoch, (), replica.cursor)
        self.catch_up.tell(replica.position)
        active = self.entering.entered
        if not active or replica.drifted:
            return None
        replica.enter_epoch(epoch, active)
        if not replica.ledger.cut or not self.rounds.trains(active):
            return None
        replica.in_hand, self.orders.rewind = replica.mine, False
        return StepAssignment(replica.ledger.cut.epoch, replica.in_hand, replica.cursor)

    @held
    def keep_on(self, history: History) -> None:
        """By the link's thread. The state at hand, whatever step is in hand, begins a new generation.

        Others may have to take that state before a group can be formed with them, and without a group no
        step ends: so one that is in hand is given up.
        """
        self.formations.leave()
        self.catch_up.stop()
        self.replica.keep_on(history)
        self.orders.rewind = True

    # --- a step

    def begin_step(self, turn: StepAssignment, loss: float) -> None:
        """Before backward: gradients go out from now on as they are made, where a formation stands."""
        with self._monitor:
            active = None if turn.replay else self.entering.entered
        if active and (turn.positions or turn.kind is StepKind.AGAIN):
            self._attempts.begin_early(active, turn, loss)

    def abandon_step(self, why: str) -> None:
        """The program failed in backward, after `begin_step`."""
        self._attempts.abandon(why)

    def reduce_step(self, turn: StepAssignment, loss: float, computed: int) -> None:
        """Make the step's gradients the group's committed mean.

        `computed` samples went through the model; `loss` is their mean.

        Raises:
            Superseded: there is no such mean for this member.
            Rewound: as that, and the state is to be what it is now again at the next boundary.
            SystemExit: the supervisor asked to stop, or is gone.
        """
        if turn.done:
            self.committing.give(turn.done)
            return
        if turn.kind is StepKind.BATCH:
            self._meter.computed(computed)
        if turn.replay:
            with self._monitor:
                entry = self.committing.note(turn.replay)
            self.committing.take(entry, None)
            return
        self._meter.enter("wait")
        while not self._go_on(turn, loss):
            pass

    def _go_on(self, turn: StepAssignment, loss: float) -> bool:
        """Do what can be done for this step now, or wait for a change; says whether it is committed."""
        attempt = self._attempts.take()
        with self._monitor:
            self._obey(attempt)
            decided = None if attempt else self._decided()
            if not attempt and not decided:
                active, ready = self.entering.entered, self.entering.to_enter()
                if not active and not ready:
                    self._monitor.wait()
                    return False
        if attempt:
            return self._concluded(attempt)
        if decided:
            agree_on_kind(turn.kind, decided[0].kind)
            self.committing.take(*decided)
            return True
        if ready:
            self.entering.enter(ready)
        return active is not None and self._tried(active, turn, loss)

    @held
    def _obey(self, attempt: Attempt | None) -> None:
        """Orders that end or replace this step."""
        active = self.formations.active
        if self.orders.closed or (self.orders.stop and (not active or active.left)):
            raise SystemExit(0 if self.orders.stop else 1)
        if self.orders.start or self.catch_up.needs_snapshot:
            self._drop(attempt)
            self.replica.in_sync = False
            raise Superseded
        if self.orders.rewind:
            self._drop(attempt)
            raise Rewound

    @held
    def _drop(self, attempt: Attempt | None) -> None:
        if attempt:
            self._attempts.give_up(attempt)
        self.committing.nothing()

    @held
    def _decided(self) -> tuple[Entry, BatchPartition | None] | None:
        """The step in hand, where others have decided what becomes of it: committed now. With it who had
        which part, where that is known."""
        replica = self.replica
        if prepared := self._to_apply():
            cut, kind = replica.ledger.cut, self._attempts.kind
            done = self.committing.after(prepared.step)
            return self.committing.note(
                Entry(prepared.step, prepared.formation, self._attempts.total, done, kind)
            ), cut
        if entry := self.catch_up.take_step(replica.position.committed):
            return self.committing.note(entry), None
        self.catch_up.tell(replica.position)
        return None

    @held
    def _to_apply(self) -> Prepared | None:
        """What is prepared, where all who count hold it, or somebody has committed it.

        Not before the group is built, which shows that nobody was put out of it meanwhile. Nor once it was
        left: a position that was told in leaving must not change by a decision of before.
        """
        active, prepared = self.formations.active, self.replica.position.prepared
        if not active or not prepared or not active.built or active.left:
            return None
        decided = active.form.decision is Decision.APPLY and active.form.step == prepared.step
        return prepared if decided else None

    # --- an attempt

    def _tried(self, active: ActiveFormation, turn: StepAssignment, loss: float) -> bool:
        try:
            attempt = self._attempts.begin(active, turn, loss)
        except GroupBroken:
            return False
        return self._concluded(attempt)

    def _concluded(self, attempt: Attempt) -> bool:
        """Backward is over; says whether the step is committed."""
        self._meter.enter("reduce")
        try:
            entry, cut = self._attempts.conclude(
                attempt, self._vote(attempt), lambda outcome: self._voted(attempt, outcome)
            )
        except GroupBroken:
            return False
        self.committing.take(entry, cut)
        return True

    def _vote(self, attempt: Attempt) -> CommitVote:
        form = attempt.active.form
        due = time.monotonic() - self._saved_at >= form.terms.checkpoint_every_seconds
        return CommitVote(
            step=attempt.step,
            kind=self._attempts.kind,
            place=attempt.place,
            hold_revision=self.orders.hold_revision,
            reform=self.orders.reform,
            save=due and attempt.active.leads,
            merge=self.rounds.has_news(attempt.active, self._attempts.kind),
            speed=self._meter.speed,
            digest=self._flat.digest() if self.replica.compares(attempt.step) else 0,
        )

    @held
    def _voted(self, attempt: Attempt, outcome: VoteOutcome) -> tuple[Entry, BatchPartition | None]:
        active, replica = attempt.active, self.replica
        if replica.position.history != active.id.history:
            # The vote was over already when a new generation began, from the step before.
            raise GroupBroken("another generation has begun")
        kind = self._attempts.kind
        agree_on_place(outcome, active.form)
        cut, ledger = replica.ledger.cut, self.committing.after(attempt.step)
        if kind is StepKind.BATCH:
            speeds = dict(zip(active.holders, outcome.speeds, strict=True))
            ledger = ledger.with_speeds(speeds, alike=active.form.terms.shares is Shares.EQUAL)
        replica.drifted = outcome.drifted
        if replica.compares(attempt.step):
            replica.compare, replica.compared_at = False, attempt.step
            if not outcome.drifted:
                self._drifts.none()
        self.committing.held, self.save_due = outcome.held, outcome.save
        replica.merge_due = outcome.merge
        if kind is not StepKind.NUMBERS:
            active.sum_seconds = outcome.sum_seconds
        if outcome.save:
            self._saved_at = time.monotonic()
        entry = self.committing.note(Entry(attempt.step, active.id, self._attempts.total, ledger, kind))
        if outcome.reform:
            self.orders.reform = False
            self.formations.stop_cleanly(active)
        elif kind in (StepKind.BATCH, StepKind.MERGE):
            # Now, not at the next boundary: should the formation break before somebody gets there,
            # all who committed still agree on who had which part of the next step.
            replica.ledger = replica.ledger.share_out(active.id, active.holders)
        return entry, cut
