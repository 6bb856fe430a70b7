"""The same loop without a supervisor: a program on a laptop."""

from dataclasses import replace

from edgetrain.engine.flat import Flat
from edgetrain.engine.ledger import Ledger
from edgetrain.engine.meter import Meter
from edgetrain.engine.turn import Step, Turn
from edgetrain.local import FormationId, Message

NOBODY = FormationId(0, 0)
ME = "alone"


class Alone:
    """Cuts the same batches as a job with one member; gradients stay as they are."""

    def __init__(self, flat: Flat, ledger: Ledger) -> None:
        self._flat, self._ledger = flat, ledger
        self.last: Step | None = None
        self.meter = Meter(lambda progress: None)

    def send(self, message: Message) -> None:
        """There is nobody to be told."""

    def next_turn(self) -> Turn | None:
        self._ledger = self._ledger.share_out(NOBODY, [ME])
        cut = self._ledger.cut
        return Turn(cut.epoch, cut.slices[ME]) if cut else None

    def reduce_step(self, turn: Turn, loss: float, computed: int) -> None:
        self.meter.computed(computed)
        number = self.last.number + 1 if self.last else 1
        self._ledger = self._ledger.committed(number, loss)
        self.last = Step(number, turn.epoch, loss, turn.positions, 1)
        progress = replace(self.meter.progress, step=number, epoch=turn.epoch, loss=loss)
        self.meter.committed(progress, computed)

    def hold_on(self, seconds: float) -> bool:
        """Whoever has started it is told at once."""
        return False

    def finish(self, model_path: str, digest: str) -> None:
        """The model is saved; there is nothing to wait for."""
