"""What a committed step changes here, and gives to the program."""

from itertools import chain

import torch

from edgetrain.data import BatchPartition
from edgetrain.engine.assignment import Step
from edgetrain.engine.attempts import Attempts
from edgetrain.engine.formation.numbers import MOST
from edgetrain.engine.formation.traffic import Traffic
from edgetrain.engine.in_rounds import InRounds
from edgetrain.engine.meter import Meter
from edgetrain.engine.monitor import Monitor, held
from edgetrain.engine.replica import ReplicaState
from edgetrain.engine.state.flat_model import FlatModel
from edgetrain.engine.state.ledger import Ledger
from edgetrain.engine.step_kind import StepKind
from edgetrain.engine.telling import Telling
from edgetrain.engine.transfer.catch_up import CatchUp
from edgetrain.engine.transfer.replay_log import Entry
from edgetrain.link import Position
from edgetrain.rounds.group_work import GroupWork


class Committing:
    """Methods are the program's thread's."""

    def __init__(
        self,
        monitor: Monitor,
        replica: ReplicaState,
        attempts: Attempts,
        flat: FlatModel,
        meter: Meter,
        traffic: Traffic,
        rounds: InRounds,
    ) -> None:
        self._monitor, self._replica, self._attempts = monitor, replica, attempts
        self._flat, self._meter, self._traffic = flat, meter, traffic
        self._rounds = rounds
        self._work_before: GroupWork | None = None
        """Of the last step that has merged."""
        self._spoilt = 0
        """Steps that nobody's optimiser was given gradients in, since they were not finite."""
        self._telling = Telling(replica, flat, meter)
        self.held = 0
        """The plan's revision that all members hold, as of the last vote."""
        self.last: Step | None = None
        """What came of the last batch; None if nothing did."""
        self.loss = 0.0
        """Mean of the last step of gradients."""
        self._batch: Entry | None = None
        self.numbers: torch.Tensor | None = None
        """Of the last step of numbers, each member's row; None if nothing came of it."""

    @property
    def with_gradients(self) -> Entry | None:
        """The last batch's step; None where nobody has brought anything in, or nothing came of it."""
        entry = self._batch
        return entry if entry and self._flat.weight(entry.total) else None

    @held
    def after(self, step: int) -> Ledger:
        """The ledger once the attempt that is prepared is committed."""
        ledger = self._replica.ledger
        if self._attempts.kind is StepKind.MERGE:
            return self._rounds.after(ledger, self._attempts.proposed)
        if self._attempts.kind is not StepKind.BATCH:
            return ledger.at_rest()
        total = self._attempts.total
        known = None if self._flat.weight(total) else 0
        if ledger.common and ledger.cut:
            known = self._own_samples(total, len(ledger.cut.slices))
        done = ledger.committed(step, self._flat.loss(total), known)
        # By the sum and not by the vote, whose outcome is not known to all who come to apply the step.
        return done.told_to_finish() if self._flat.finish(total) else done

    @held
    def note(self, entry: Entry) -> Entry:
        """From now on it is committed here."""
        replica = self._replica
        self._attempts.keep(entry)
        replica.position = Position(entry.formation.history, entry.formation, entry.step)
        if entry.kind is StepKind.MERGE:
            self._work_before, replica.ledger = replica.ledger.work, entry.ledger
        if entry.kind is StepKind.BATCH:
            replica.ledger, replica.in_hand = entry.ledger, None
        return entry

    @held
    def next_of(self, catch_up: CatchUp, *, counted: bool) -> Entry | None:
        """The next step that others have done. What all of them had passed over is none for the program,
        unless it counts its batches: `counted`."""
        while catch_up.next_kind(self._replica.position.committed) is StepKind.BATCH:
            entry = catch_up.take_step(self._replica.position.committed)
            if entry is None or counted or self._flat.weight(entry.total):
                return entry
            self.note(entry)
        return None

    @held
    def nothing(self) -> None:
        """The step in hand is given up."""
        self._replica.in_hand = self.last = self.numbers = self._batch = None

    def take(self, entry: Entry, cut: BatchPartition | None) -> None:
        """Give the program what was committed; `cut`: who had which part of it, where that is known."""
        if entry.kind is StepKind.MERGE:
            self._rounds.follow(self._work_before, entry)
            return
        if entry.kind is StepKind.NUMBERS:
            self.numbers = entry.total.view(torch.float64).view(-1, MOST)
            return
        if self.give(entry):
            self._spoilt += 1
            self._meter.noted("stepsNotFinite", self._spoilt)
        if entry.kind is StepKind.BATCH:
            self._batch = entry
            self._tell(entry, cut)

    def give(self, entry: Entry) -> bool:
        """Its gradients, once more; says whether they are spoilt, see `FlatModel.unpack`."""
        self.loss = self._flat.loss(entry.total)
        return self._flat.unpack(entry.total)

    def _tell(self, entry: Entry, cut: BatchPartition | None) -> None:
        parts = [part for part in cut.slices.values() if part] if cut else []
        positions = tuple(chain.from_iterable(parts))
        epoch, history = entry.ledger.record.epoch, entry.formation.history
        self.last = Step(entry.step, epoch, self.loss, positions, len(parts), history)
        own = cut is not None and entry.ledger.common
        samples = self._own_samples(entry.total, len(parts)) if own else len(positions)
        payload, carried = self._attempts.payload, self._traffic.carried()
        self._telling.committed(entry.formation, self.last, samples, payload, self.held, carried)

    def _own_samples(self, total: torch.Tensor, holders: int) -> int:
        """That members have brought in where each has its own: by their weights, of which they know a part
        each."""
        return round(self._flat.weight(total) * holders)
