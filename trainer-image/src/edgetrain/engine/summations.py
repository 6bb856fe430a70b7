"""Which kind of summation carries which payload. A new codec needs no line here."""

from torch import Tensor

from edgetrain.engine.buckets import Buckets
from edgetrain.engine.low_rank_summation import LowRankSummation
from edgetrain.engine.state.carried import Carried
from edgetrain.engine.state.flat_model import FlatModel
from edgetrain.engine.summation import CodedSummation, ExactSummation, Room, Summation
from edgetrain.payload.codecs import CODECS
from edgetrain_protocol.strategy import Payload


def summation_of(
    payload: Payload, flat: FlatModel, buckets: Buckets, vector: Tensor, before: Carried, room: Room
) -> Summation:
    """For one attempt at a step."""
    # No plan says auto, since the operator chooses; should one do, nobody is to stand still for it.
    if payload in (Payload.FP32, Payload.AUTO):
        return ExactSummation(flat, buckets, vector, before)
    if payload is Payload.LOW_RANK:
        return LowRankSummation(flat, buckets, vector, before, room)
    return CodedSummation(CODECS[payload], flat, buckets, vector, before, room)
