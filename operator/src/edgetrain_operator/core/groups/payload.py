"""How gradients are packed, by predicted time of one step over the measured links.

Low rank is never chosen here: how much of a gradient a few ranks hold depends on the model, and nothing that
is measured says what its accuracy pays. int8, with what it leaves out carried on, trains as fp32 does.
"""

from collections.abc import Mapping
from dataclasses import dataclass

from edgetrain_operator.core.groups.reduction import ring_seconds, star_seconds
from edgetrain_operator.fleet_state import NodeRate
from edgetrain_protocol.report import TrainingPart
from edgetrain_protocol.strategy import Payload, Reduction

HYSTERESIS = 1.2
"""How much shorter a step must become: a change costs a re-forming."""
SIZES = {Payload.FP32: 1.0, Payload.BF16: 0.5, Payload.INT8: 0.252}
"""Of what is sent, against fp32; in the order of what is lost."""
HIDDEN = 0.5
"""So much of a member's own work runs beside the exchange: backward is two thirds of it, and its first
gradients come late."""
MIB = 1 << 20


@dataclass(frozen=True)
class ExchangeView:
    """What is known of a group's exchange."""

    reduction: Reduction
    aggregator: str
    members: tuple[str, ...]
    rates: Mapping[str, NodeRate]
    training: Mapping[str, TrainingPart]
    """What each member said last."""
    reduce_bytes: int

    @property
    def known(self) -> bool:
        return self.reduce_bytes > 0 and all(self._knows(worker) for worker in self.members)

    def _knows(self, worker: str) -> bool:
        part = self.training.get(worker)
        measured = part is not None and part.own_seconds > 0
        coded = part is not None and all(p in part.codec_seconds for p in SIZES if p is not Payload.FP32)
        return measured and coded and worker in self.rates and self.rates[worker].bits_per_second > 0


@dataclass(frozen=True)
class Choice:
    payload: Payload
    why: str = ""
    """Where it is another one than before."""


def choose(wish: Payload, before: Payload | None, view: ExchangeView) -> Choice:
    """The payload for a group; what it has stays where the difference is small or unknown."""
    if wish is not Payload.AUTO:
        return Choice(wish)
    held = before or Payload.FP32
    if held not in SIZES or len(view.members) < 2:
        return Choice(Payload.FP32)
    if not view.known:
        return Choice(held)
    seconds = {payload: step_seconds(payload, view) for payload in SIZES}
    # What costs more than it saves ends without hysteresis: it began with some.
    now = Payload.FP32 if seconds[Payload.FP32] <= seconds[held] else held
    best = min(seconds, key=lambda payload: seconds[payload])
    chosen = best if seconds[best] * HYSTERESIS < seconds[now] else now
    return Choice(chosen, _why(chosen, held, seconds))


def _why(chosen: Payload, before: Payload, seconds: Mapping[Payload, float]) -> str:
    if chosen is before:
        return ""
    took, takes = (f"{seconds[payload]:.3g} s" for payload in (before, chosen))
    return f"by {chosen} a step takes {takes} by prediction, by {before} {took}"


def step_seconds(payload: Payload, view: ExchangeView) -> float:
    """What the slowest member computes by itself, what packing takes, and what of the exchange is left then.

    Packing is counted in full: on a device with one core it runs instead of something else.
    """
    own = max(view.training[worker].own_seconds for worker in view.members)
    return own + codec_seconds(payload, view) + max(0.0, exchange_seconds(payload, view) - HIDDEN * own)


def exchange_seconds(payload: Payload, view: ExchangeView) -> float:
    bits = 8.0 * view.reduce_bytes * SIZES[payload]
    speed = {worker: view.rates[worker].bits_per_second for worker in view.members}
    if view.reduction is Reduction.STAR:
        others = [rate for worker, rate in speed.items() if worker != view.aggregator]
        return star_seconds(bits, speed[view.aggregator], others)
    return ring_seconds(bits, list(speed.values()))


def codec_seconds(payload: Payload, view: ExchangeView) -> float:
    """Of the member for which it takes longest. Each packs and unpacks everything twice; the aggregator of a
    star as often as there are members."""
    if payload is Payload.FP32:
        return 0.0
    star, mib = view.reduction is Reduction.STAR, view.reduce_bytes / MIB

    def of(worker: str) -> float:
        times = len(view.members) if star and worker == view.aggregator else 2
        return view.training[worker].codec_seconds[payload] * mib * times

    return max(map(of, view.members))
