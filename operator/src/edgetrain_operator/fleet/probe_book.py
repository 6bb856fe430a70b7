"""What a job's probes have shown: rates, accounts of link time, and the probes under way."""

from collections.abc import Mapping
from dataclasses import dataclass, field

from edgetrain_operator.fleet.probes import (
    LARGEST_BURST,
    RESERVE_SHARE,
    SHARE,
    Need,
    Node,
    Probe,
    burst_bytes,
    choose,
    link_seconds,
)
from edgetrain_operator.fleet_state import NodeRate, StampedReport
from edgetrain_protocol.report import LinkMeasure, NodePart, ProbeOrder, ProbeTarget

WEIGHT = 0.4
"""Of a new measure in the moving average."""
LEAP = 2.0
"""A measure off by this factor is no noise: it is confirmed by another, which then replaces the average."""
PAIR_SECONDS = 180.0
"""A pair not measured for so long no longer speaks for its node, where another does."""
LEASE_SLACK = 3.0
AVOID_SECONDS = 60.0


@dataclass
class _Pair:
    rate: float
    at: float
    offered: float | None


@dataclass
class _Record:
    """One node's."""

    seen: float
    pairs: dict[tuple[str, ...], _Pair] = field(default_factory=dict)
    """By the peers that took part; the first is the partner."""
    probed: float | None = None
    credit: float = 0.0
    reserve: float = 0.0
    paid_at: float = 0.0
    alarm: bool = False
    suspect: _Pair | None = None
    """A leap that waits to be confirmed."""
    measured_at: float = float("-inf")
    """The newest measure taken in, by the node's own clock: a report sent again brings it again."""
    avoid: dict[str, float] = field(default_factory=dict)

    def best(self) -> tuple[tuple[str, ...], _Pair] | None:
        if not self.pairs:
            return None
        newest = max(pair.at for pair in self.pairs.values())
        fresh = [item for item in self.pairs.items() if item[1].at >= newest - PAIR_SECONDS]
        return max(fresh, key=lambda item: item[1].rate)

    @property
    def rate(self) -> float | None:
        best = self.best()
        return best[1].rate if best else None

    def earn(self, now: float) -> None:
        """Link time for the time since; saved up to one burst: credit is no licence for a volley."""
        most = link_seconds(self.rate, burst_bytes(self.rate))
        elapsed = max(0.0, now - self.paid_at)
        self.credit = min(most, self.credit + SHARE * elapsed)
        self.reserve = min(most, self.reserve + RESERVE_SHARE * elapsed)
        self.paid_at = now


class ProbeBook:
    """Of one job. Times are the operator's; not locked, its owner does that."""

    def __init__(self) -> None:
        self._records: dict[str, _Record] = {}
        self._leases: dict[str, tuple[Probe, float]] = {}
        """By the worker that probes: the probe and when it counts as failed."""

    def rates(self) -> Mapping[str, NodeRate]:
        return {worker: rate for worker, record in self._records.items() if (rate := _node_rate(record))}

    def record(self, worker: str, measured: NodePart, now: float) -> bool:
        """Take in what a node measured. True where its rate leapt, or is known for the first time."""
        record = self._records.setdefault(worker, _Record(seen=now, paid_at=now))
        news = False
        for link in sorted(measured.links, key=lambda link: link.at):
            if link.at > record.measured_at:
                record.measured_at = link.at
                news |= self._take(worker, record, link, now)
        record.alarm = measured.bandwidth_alarm
        return news

    def order_for(self, worker: str, reports: Mapping[str, StampedReport], now: float) -> ProbeOrder | None:
        """The probe that this worker shall make now; it counts as under way until measured or timed out."""
        self._expire(now)
        self._forget_gone(reports)
        nodes = {w: self._node(w, reports[w], now) for w in self._records}
        if worker not in nodes:
            return None
        probe = choose(worker, nodes, self._busy(), now)
        if probe is None:
            return None
        self._leases[worker] = (probe, now + probe.deadline_seconds + LEASE_SLACK)
        partner, *helpers = [_target(peer, reports[peer], self._rate(peer)) for peer in probe.peers]
        return ProbeOrder(
            **partner.model_dump(),
            max_bytes=LARGEST_BURST,
            deadline_seconds=probe.deadline_seconds,
            bursts=probe.bursts,
            helpers=tuple(helpers),
        )

    def _take(self, worker: str, record: _Record, link: LinkMeasure, now: float) -> bool:
        probe = self._released(worker, link.peer)
        peers = probe.peers if probe else (link.peer,)
        news = _fold(record, peers, _Pair(link.bits_per_second, now, self._offered(peers)))
        record.probed = now
        self._charge(worker, peers, link, alarm=probe is not None and probe.need is Need.ALARM)
        return news

    def _released(self, worker: str, peer: str) -> Probe | None:
        probe = self._leases.get(worker, (None, 0.0))[0]
        if probe is None or probe.peers[0] != peer:
            return None
        del self._leases[worker]
        return probe

    def _offered(self, peers: tuple[str, ...]) -> float | None:
        rates = [self._rate(peer) for peer in peers]
        return None if None in rates else sum(rate for rate in rates if rate)

    def _rate(self, worker: str) -> float | None:
        record = self._records.get(worker)
        return record.rate if record else None

    def _charge(self, worker: str, peers: tuple[str, ...], link: LinkMeasure, *, alarm: bool) -> None:
        """Each end pays by its own link's rate; the peers of a joint probe for their part of it."""
        record = self._records[worker]
        cost = link_seconds(record.rate, link.bytes)
        if alarm:
            record.reserve -= cost
        else:
            record.credit -= cost
        offered = self._offered(peers)
        for peer in peers:
            part = (self._rate(peer) or 0.0) / offered if offered else 1.0 / len(peers)
            if held := self._records.get(peer):
                held.credit -= link_seconds(held.rate or link.bits_per_second, int(link.bytes * part))

    def _node(self, worker: str, report: StampedReport, now: float) -> Node:
        record = self._records[worker]
        record.earn(now)
        best = record.best()
        avoid = {peer for peer, until in record.avoid.items() if until > now}
        return Node(
            worker,
            seen=record.seen,
            heard=report.measured_received or 0.0,
            rate=best[1].rate if best else None,
            probed=record.probed,
            offered=best[1].offered if best else None,
            credit=record.credit,
            reserve=record.reserve,
            alarm=record.alarm or record.suspect is not None,
            avoid=frozenset(avoid),
        )

    def _busy(self) -> set[str]:
        return {end for probe, _ in self._leases.values() for end in probe.ends}

    def _expire(self, now: float) -> None:
        for worker, (probe, until) in list(self._leases.items()):
            if until <= now:
                del self._leases[worker]
                record = self._records[worker]
                record.probed = now
                record.avoid.update(dict.fromkeys(probe.peers, now + AVOID_SECONDS))

    def _forget_gone(self, reports: Mapping[str, StampedReport]) -> None:
        for worker in [w for w in self._records if w not in reports]:
            del self._records[worker]
            self._leases.pop(worker, None)


def _fold(record: _Record, peers: tuple[str, ...], sample: _Pair) -> bool:
    """Take a measure into the averages; True where it is the first or confirms a leap."""
    known = record.rate
    if known is None:
        record.pairs[peers] = sample
        return True
    expected = known if sample.offered is None else min(known, sample.offered)
    if sample.rate * LEAP > expected and sample.rate < known * LEAP:
        record.suspect = None
        record.avoid.pop(peers[0], None)
        _average(record, peers, sample)
        return False
    if record.suspect is None and not record.alarm:
        record.suspect = sample
        # If its partner is what dropped, only another partner can tell.
        record.avoid[peers[0]] = sample.at + AVOID_SECONDS
        return False
    record.suspect = None
    record.pairs = {peers: sample}
    return True


def _average(record: _Record, peers: tuple[str, ...], sample: _Pair) -> None:
    held = record.pairs.get(peers)
    rate = sample.rate if held is None else held.rate + WEIGHT * (sample.rate - held.rate)
    record.pairs[peers] = _Pair(rate, sample.at, sample.offered)


def _node_rate(record: _Record) -> NodeRate | None:
    best = record.best()
    if best is None:
        return None
    peers, pair = best
    return NodeRate(pair.rate, pair.at, peers[0], confirmed=record.suspect is None and not record.alarm)


def _target(worker: str, held: StampedReport, rate: float | None) -> ProbeTarget:
    return ProbeTarget(
        peer=worker, address=held.head.address, port=held.head.probe_port, bits_per_second=rate
    )
