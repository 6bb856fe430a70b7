"""Ring or star, by predicted time of one reduction over the measured links."""

from collections.abc import Mapping

from edgetrain_operator.fleet_state import NodeRate
from edgetrain_protocol.strategy import Reduction

HYSTERESIS = 1.2
"""How much faster the other must be: a change costs a re-forming."""


def ring_seconds(bits: float, rates: list[float]) -> float:
    """Every link carries 2(n-1)/n of the data, at the pace of the slowest (Patarasuk and Yuan 2009)."""
    n = len(rates)
    return 2 * (n - 1) / n * bits / min(rates)


def star_seconds(bits: float, aggregator: float, others: list[float]) -> float:
    """Pipelined in chunks, up and down at the same time: the slowest member's link once, or the
    aggregator's as often as there are others, whichever is longer."""
    return max(bits / min(others), len(others) * bits / aggregator)


def choose(
    wish: Reduction,
    before: Reduction | None,
    aggregator: str,
    members: tuple[str, ...],
    rates: Mapping[str, NodeRate],
    reduce_bytes: int,
) -> Reduction:
    """The kind of reduction for a group; what it has stays where the difference is small or unknown."""
    if wish is not Reduction.AUTO:
        return wish
    now = before or Reduction.RING
    known = reduce_bytes > 0 and all(w in rates for w in members)
    if not known or len(members) < 3:
        return now  # Of two, both kinds exchange the same: no reason to form anew.
    bits = 8.0 * reduce_bytes
    speed = {w: rates[w].bits_per_second for w in members}
    seconds = {
        Reduction.RING: ring_seconds(bits, list(speed.values())),
        Reduction.STAR: star_seconds(
            bits, speed[aggregator], [v for w, v in speed.items() if w != aggregator]
        ),
    }
    other = Reduction.STAR if now is Reduction.RING else Reduction.RING
    return other if seconds[other] * HYSTERESIS < seconds[now] else now
