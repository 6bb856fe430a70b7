"""What others saw of a node's link, beside the node's own word."""

from collections.abc import Mapping

from edgetrain_operator.fleet.rates import LEAP, LinkRecord, Pair

WITNESS_SECONDS = 20.0
"""From a node's first probe until those bear out its rate as well who were measured with nobody else: where
all were measured with one liar alone, all bear it out."""

Records = Mapping[str, LinkRecord]


def bear_witness(records: Records, worker: str, by: str, sample: Pair) -> None:
    """Another has measured with this node alone at the other end."""
    if record := records.get(worker):
        record.show(by, sample)
        hold(records, worker, sample.at)
        is_borne_out(records, worker, sample.at)


def is_borne_out(records: Records, worker: str, now: float) -> bool:
    """Whether another has ever seen as much of its link as it could while it had the rate that it has now."""
    record = records[worker]
    rate, new = record.held_rate() or 0.0, now - record.first < WITNESS_SECONDS
    for by, pair in record.shown_to.items():
        other = records.get(by)
        own = other.rate_without(worker) if new and other else _apart(records, by, worker)
        if own and pair.rate * LEAP >= min(own, rate):
            record.witnessed = max(record.witnessed, rate)
    return rate <= LEAP * record.witnessed


def hold(records: Records, worker: str, now: float) -> None:
    """Hold a node's rate to what others were shown of it, where most of them, two at least, were shown less
    than they could have seen."""
    record = records[worker]
    words = {by: (pair.rate, _apart(records, by, worker)) for by, pair in record.shown_to.items()}
    low = {by: seen for by, (seen, own) in words.items() if seen * LEAP < min(own, record.rate or 0.0)}
    if len(low) > 1 and 2 * len(low) > len([1 for _, own in words.values() if own]):
        record.held = max(low.values()), max(pair.at for pair in record.shown_to.values())
        record.held_by = frozenset(low)
    else:
        record.held, record.held_by = (float("inf"), now), frozenset()


def _apart(records: Records, worker: str, peer: str) -> float:
    """The rate of `worker`, by what it has shown to others than this peer, if to any."""
    record = records.get(worker)
    return (record.rate_without(peer) or record.rate or 0.0) if record else 0.0
