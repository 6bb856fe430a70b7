"""The same loop without a supervisor: a program on a laptop."""

from edgetrain.engine.assignment import Step, StepAssignment
from edgetrain.engine.meter import Meter
from edgetrain.engine.state.flat_model import FlatModel
from edgetrain.engine.state.ledger import Ledger
from edgetrain.link import FormationId, Message, Progress
from edgetrain_protocol.history import NO_HISTORY

NOBODY = FormationId(NO_HISTORY, 0)
ME = "alone"


class Alone:
    """Cuts the same batches as a job with one member; gradients stay as they are."""

    def __init__(self, flat: FlatModel, ledger: Ledger) -> None:
        self._flat, self._ledger = flat, ledger
        self.last: Step | None = None
        self.meter = Meter(lambda: None)

    def send(self, message: Message) -> None:
        """There is nobody to be told."""

    def next_turn(self) -> StepAssignment | None:
        self._ledger = self._ledger.share_out(NOBODY, [ME])
        cut = self._ledger.cut
        return StepAssignment(cut.epoch, cut.slices[ME]) if cut else None

    def begin_step(self, turn: StepAssignment, loss: float) -> None:
        """There is nobody to send gradients to."""

    def abandon_step(self, why: str) -> None:
        """Nobody waits for it."""

    def reduce_step(self, turn: StepAssignment, loss: float, computed: int) -> None:
        self.meter.computed(computed)
        number = self.last.number + 1 if self.last else 1
        self._ledger = self._ledger.committed(number, loss)
        self.last = Step(number, turn.epoch, loss, turn.positions, 1)
        told = Progress(None, "", number, turn.epoch, loss=loss)
        self.meter.committed(lambda: told, computed)

    def hold_on(self, seconds: float) -> bool:
        """Whoever has started it is told at once."""
        return False

    def close(self) -> None:
        """There is nobody to be told."""

    def finish(self, model_path: str, digest: str) -> None:
        """The model is saved; there is nothing to wait for."""
