"""What others saw of a node's link, beside the node's own word."""

from collections.abc import Mapping

from edgetrain_operator.fleet.rates import LEAP, Pair, Record

SETTLING_SECONDS = 30.0
"""From a node's first probe until its rate is shown, however little its partners had to offer."""

Records = Mapping[str, Record]


def bear_witness(records: Records, worker: str, by: str, sample: Pair) -> None:
    """Another has measured with this node alone at the other end. Of a new one it bears out nothing while
    it has shown to nobody else what it has itself."""
    record = records.get(worker)
    if record is None:
        return
    record.show(by, sample)
    hold(records, worker, sample.at)
    rate, new = record.held_rate(), sample.at - record.first < SETTLING_SECONDS
    own = records[by].rate_without(worker) if new else _apart(records, by, worker)
    if rate and own and record.shown_to[by].rate * LEAP >= min(own, rate):
        record.witnessed = max(record.witnessed, rate)


def hold(records: Records, worker: str, now: float) -> None:
    """Hold a node's rate to what others were shown of it, where most of them, two at least, were shown less
    than they could have seen."""
    record = records[worker]
    words = [(pair.rate, _apart(records, by, worker)) for by, pair in record.shown_to.items()]
    low = [seen for seen, own in words if seen * LEAP < min(own, record.rate or 0.0)]
    if len(low) > 1 and 2 * len(low) > len([1 for _, own in words if own]):
        record.held = max(low), max(pair.at for pair in record.shown_to.values())
    else:
        record.held = float("inf"), now


def _apart(records: Records, worker: str, peer: str) -> float:
    """The rate of `worker`, by what it has shown to others than this peer, if to any."""
    record = records.get(worker)
    return (record.rate_without(peer) or record.rate or 0.0) if record else 0.0
