"""The same loop without a supervisor: a program on a laptop."""

from collections.abc import Iterator, Sequence
from typing import NoReturn

from msgspec.structs import replace

from edgetrain.data import BatchPartition, Over, cut, step_for_all
from edgetrain.engine.assignment import Step, StepAssignment
from edgetrain.engine.meter import Meter
from edgetrain.engine.place import OVER, Places
from edgetrain.engine.state.ledger import Ledger
from edgetrain.engine.step_kind import StepKind
from edgetrain.link import Message, Progress

ME = "alone"
ALL_MINE = {ME: 1.0}


class Alone:
    """Cuts the same batches as a job with one member; gradients stay as they are.

    A small model's step takes less than what a job's ledger takes to follow it: the record is all that is
    kept of that here.
    """

    def __init__(self, ledger: Ledger, places: Places) -> None:
        self._loop, self._places = ledger, places
        """As at the start of the loop; what has become of it since is in the record."""
        self._record = ledger.record
        self._in_hand: BatchPartition | None = None
        self.last: Step | None = None
        self.step = 0
        self.loss: float | None = None
        """It is the program's own already."""
        self.standing = (0, 1)
        self.meter = Meter(lambda: None, phases=False)
        self.early = self.finishing = False

    def foreseen(self) -> Iterator[tuple[int, tuple[int, ...]]]:
        return replace(self._loop, record=self._record, cut=self._in_hand).foreseen(ME)

    def send(self, message: Message) -> None:
        """There is nobody to be told."""

    def settle(self) -> None:
        """Its own state is all there is."""

    def go_over(self, ledger: Ledger) -> None:
        if self._loop.epochs < ledger.epochs:
            self._loop, self._record, self._in_hand = ledger, ledger.record, None

    def take_back(self) -> None:
        """It gives up no step."""

    def data_ended(self) -> None:
        """Nothing is kept."""

    def give_way(self) -> NoReturn:
        """Its state is nobody else's: it is never behind."""
        raise AssertionError

    def next_turn(self, over: Over) -> StepAssignment | None:
        epoch, loop = self._places.here.epoch, self._loop
        record = self._record.in_epoch(epoch)
        if record.epoch > epoch or over(self._record):
            return None
        self._record = record
        part = step_for_all(record, [ME]) if loop.common else cut(record, loop.batch, ALL_MINE)
        self._in_hand = part
        return StepAssignment(part.epoch, part.slices[ME], record.cursor)

    def pass_over(self, turn: StepAssignment, over: Over) -> StepAssignment | None:
        """As if it had not been there."""
        if self._in_hand:
            self._record, self._in_hand = self._in_hand.after, None
        return self.next_turn(over)

    def begin_step(self, turn: StepAssignment, loss: float) -> None:
        """There is nobody to send gradients to."""

    def abandon_step(self, why: str) -> None:
        """Nobody waits for it."""

    def reduce_step(self, turn: StepAssignment, loss: float, computed: int) -> None:
        self.step += 1
        if turn.kind is not StepKind.BATCH:
            return
        assert self._in_hand
        self.meter.computed(computed)
        record = self._record = self._in_hand.after
        self._in_hand = None
        self.last = Step(self.step, turn.epoch, loss, turn.positions, 1)
        step, epochs = self.step, self._loop.epochs

        def described() -> Progress:
            done = 0.0 if self._places.own_loop else 100.0 * record.part_done(epochs)
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

    def finish(self, model_path: str, digest: str, not_pushed: str | None = None) -> None:
        """The model is saved; there is nothing to wait for."""
