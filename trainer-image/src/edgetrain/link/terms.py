"""How a formation trains, from the plan to the trainer: one document, carried whole."""

from typing import NamedTuple

from edgetrain.data_part import WHOLE, DataPart
from edgetrain_protocol.strategy import Payload, Reduction, Shares


class Terms(NamedTuple):
    """The same for all members of a formation, whichever plans they hold."""

    reduction: Reduction = Reduction.RING
    shares: Shares = Shares.SPEED
    checkpoint_every_seconds: float = 30.0
    payload: Payload = Payload.FP32
    part: DataPart = WHOLE
    """Of each epoch's samples, that which is its group's."""


DEFAULT_TERMS = Terms()
