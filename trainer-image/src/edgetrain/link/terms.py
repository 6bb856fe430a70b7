"""How a formation trains, from the plan to the trainer: one document, carried whole."""

from typing import NamedTuple

from edgetrain_protocol.strategy import Payload, Reduction, Shares


class HolderAddress(NamedTuple):
    """Where a holder of the log of rounds is asked."""

    worker: str
    host: str
    port: int


class RoundTerms(NamedTuple):
    """How a group trains one model with others."""

    local_steps: int
    """After which its work goes to them."""
    holders: tuple[HolderAddress, ...]
    """Best first."""


class Terms(NamedTuple):
    """The same for all members of a formation, whichever plans they hold."""

    reduction: Reduction = Reduction.RING
    shares: Shares = Shares.SPEED
    checkpoint_every_seconds: float = 30.0
    payload: Payload = Payload.FP32
    rounds: RoundTerms | None = None
    """None where the group trains a model of its own."""


DEFAULT_TERMS = Terms()
