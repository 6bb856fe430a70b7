"""What is told of a committed step, when somebody asks."""

from edgetrain.engine.assignment import Step
from edgetrain.engine.meter import Meter
from edgetrain.engine.replica import ReplicaState
from edgetrain.engine.state.flat_model import FlatModel
from edgetrain.link import FormationId, Progress
from edgetrain.payload.codecs import codec_seconds
from edgetrain_protocol.strategy import Payload


class Telling:
    """For the program's thread."""

    def __init__(self, replica: ReplicaState, flat: FlatModel, meter: Meter) -> None:
        self._replica, self._flat, self._meter = replica, flat, meter
        self._codec_seconds = codec_seconds()

    def committed(
        self,
        formation: FormationId,
        step: Step,
        samples: int,
        payload: Payload,
        held: int,
        carried: dict[str, list[int]],
    ) -> None:
        """
        Args:
            samples: of all members; 0 for a step that was replayed.
            payload: by which the step's gradients went.
            held: the plan's revision that all members hold.
            carried: bytes by scope, see `link.Totals`.
        """
        ledger, share = self._replica.ledger, self._replica.share
        total = None if self._replica.open_ended else ledger.epochs

        def described() -> Progress:
            return Progress(
                formation=formation,
                phase="",
                step=step.number,
                epoch=step.epoch,
                percent=100.0 * ledger.part_done(total) if total else 0.0,
                loss=step.loss,
                not_finite_since=ledger.not_finite_since,
                samples=ledger.samples,
                samples_returned=ledger.returned,
                reduce_bytes=self._flat.bytes,
                payload=payload,
                codec_seconds=self._codec_seconds,
                share=share,
                held=held,
            )

        self._meter.committed(described, samples, carried)
