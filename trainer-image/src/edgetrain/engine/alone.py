"""The same loop without a supervisor: a program on a laptop."""

from collections.abc import Iterator, Sequence
from dataclasses import replace
from typing import NoReturn

from edgetrain.data import Over
from edgetrain.engine.assignment import Step, StepAssignment
from edgetrain.engine.meter import Meter
from edgetrain.engine.place import OVER, Places
from edgetrain.engine.state.ledger import Ledger
from edgetrain.engine.step_kind import StepKind
from edgetrain.link import FormationId, Message, Progress
from edgetrain_protocol.history import NO_HISTORY

NOBODY = FormationId(NO_HISTORY, 0)
ME = "alone"


class Alone:
    """Cuts the same batches as a job with one member; gradients stay as they are."""

    def __init__(self, ledger: Ledger, places: Places) -> None:
        self._ledger, self._places = ledger, places
        self.last: Step | None = None
        self.step = 0
        self.loss: float | None = None
        """It is the program's own already."""
        self.standing = (0, 1)
        self.meter = Meter(lambda: None)

    def foreseen(self) -> Iterator[tuple[int, tuple[int, ...]]]:
        return self._ledger.foreseen(ME)

    def send(self, message: Message) -> None:
        """There is nobody to be told."""

    def settle(self) -> None:
        """Its own state is all there is."""

    def go_over(self, ledger: Ledger) -> None:
        self._ledger = self._ledger.in_loop(ledger)

    def take_back(self) -> None:
        """It gives up no step."""

    def data_ended(self) -> None:
        """Nothing is kept."""

    def give_way(self) -> NoReturn:
        """Its state is nobody else's: it is never behind."""
        raise AssertionError

    def next_turn(self, over: Over) -> StepAssignment | None:
        if self._ledger.record.over(self._places.here.epoch + 1) or over(self._ledger.record):
            return None
        self._ledger = self._ledger.in_epoch(self._places.here.epoch).share_out(NOBODY, [ME])
        cut = self._ledger.cut
        return StepAssignment(cut.epoch, cut.slices[ME], self._ledger.record.rolled().cursor) if cut else None

    def pass_over(self, turn: StepAssignment, over: Over) -> StepAssignment | None:
        """As if it had not been there."""
        if self._ledger.cut:
            self._ledger = replace(self._ledger, record=self._ledger.cut.after, cut=None, cut_in=None)
        return self.next_turn(over)

    def begin_step(self, turn: StepAssignment, loss: float) -> None:
        """There is nobody to send gradients to."""

    def abandon_step(self, why: str) -> None:
        """Nobody waits for it."""

    def reduce_step(self, turn: StepAssignment, loss: float, computed: int) -> None:
        self.step += 1
        if turn.kind is not StepKind.BATCH:
            return
        self.meter.computed(computed)
        self._ledger = self._ledger.committed(self.step, loss, computed)
        self.last = Step(self.step, turn.epoch, loss, turn.positions, 1)
        step, ledger = self.step, self._ledger

        def described() -> Progress:
            done = 0.0 if self._places.own_loop else 100.0 * ledger.record.part_done(ledger.epochs)
            return Progress(None, "", step, turn.epoch, percent=done, loss=loss)

        self.meter.committed(described, computed)

    def combine(self, numbers: Sequence[float]) -> list[list[float]] | None:
        self.step += 1
        return [list(numbers)]

    def leave_loops(self) -> None:
        self._places.here = OVER

    def hold_on(self, seconds: float) -> bool:
        """Whoever has started it is told at once."""
        return False

    def close(self) -> None:
        """There is nobody to be told."""

    def finish(self, model_path: str, digest: str) -> None:
        """The model is saved; there is nothing to wait for."""
