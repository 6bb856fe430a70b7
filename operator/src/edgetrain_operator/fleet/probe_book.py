"""What a job's probes have shown: rates, accounts of link time, and the probes under way."""

from collections.abc import Mapping
from dataclasses import dataclass, field

from edgetrain_operator.fleet.probes import (
    LARGEST_BURST,
    RESERVE_SHARE,
    SATURATED,
    SHARE,
    Need,
    Node,
    Probe,
    View,
    burst_bytes,
    choose,
    link_seconds,
    view_of,
)
from edgetrain_operator.fleet_state import NodeRate, StampedReport
from edgetrain_protocol.report import LinkMeasure, NodePart, ProbeOrder, ProbeTarget

WEIGHT = 0.4
"""Of a new measure in the moving average."""
LEAP = 1.6
"""A measure off by this factor is no noise: it is confirmed by another, which then replaces the average.
Two measures that are each off by a fifth differ by 1.5."""
PAIR_SECONDS = 180.0
"""A pair not measured for so long no longer speaks for its node, where another does."""
VIEW_SECONDS = 1.0
LEASE_SLACK = 3.0
AVOID_SECONDS = 60.0


@dataclass
class _Pair:
    rate: float
    at: float


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

    def fresh(self) -> Mapping[tuple[str, ...], _Pair]:
        newest = max((pair.at for pair in self.pairs.values()), default=0.0)
        return {peers: pair for peers, pair in self.pairs.items() if pair.at >= newest - PAIR_SECONDS}

    def best(self) -> tuple[tuple[str, ...], _Pair] | None:
        return max(self.fresh().items(), key=lambda item: item[1].rate, default=None)

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

    def accept(self, peers: tuple[str, ...], sample: _Pair) -> bool:
        """Fold a measure into its pair's average. False: nothing leapt."""
        self.suspect = None
        self.avoid.pop(peers[0], None)
        self.pairs = dict(self.fresh())
        held = self.pairs.get(peers)
        rate = sample.rate if held is None else held.rate + WEIGHT * (sample.rate - held.rate)
        self.pairs[peers] = _Pair(rate, sample.at)
        return False

    def doubt(self, peers: tuple[str, ...], sample: _Pair) -> bool:
        """Believe a leap that a second measure, or the exchanges, bear out; True if so."""
        if self.suspect is None and not self.alarm:
            self.suspect = sample
            # If its partner is what dropped, only another partner can tell.
            self.avoid[peers[0]] = sample.at + AVOID_SECONDS
            return False
        self.suspect = None
        self.pairs = {peers: sample}
        return True


class ProbeBook:
    """Of one job. Times are the operator's; not locked, its owner does that."""

    def __init__(self) -> None:
        self._records: dict[str, _Record] = {}
        self._leases: dict[str, tuple[Probe, float]] = {}
        """By the worker that probes: the probe and when it counts as failed."""
        self._view = View({}, (), frozenset())
        self._viewed = float("-inf")
        self._stale = True

    def rates(self) -> Mapping[str, NodeRate]:
        return {worker: rate for worker, record in self._records.items() if (rate := _node_rate(record))}

    def record(self, worker: str, measured: NodePart, now: float) -> bool:
        """Take in what a node measured. True where its rate leapt, or is known for the first time."""
        new = worker not in self._records
        record = self._records.setdefault(worker, _Record(seen=now, paid_at=now))
        self._stale |= new or record.alarm != measured.bandwidth_alarm or bool(measured.links)
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
        view = self._view_at(reports, now)
        if worker not in view.nodes:
            return None
        probe = choose(worker, view, self._busy(), now)
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

    def _view_at(self, reports: Mapping[str, StampedReport], now: float) -> View:
        """Drawn up once a second at most while no probe ends: a thousand nodes ask two hundred times."""
        if self._stale or now - self._viewed > VIEW_SECONDS:
            for worker in [w for w in self._records if w not in reports]:
                del self._records[worker]
                self._leases.pop(worker, None)
            self._view = view_of({w: self._node(w, reports[w], now) for w in self._records}, now)
            self._stale, self._viewed = False, now
        return self._view

    def _take(self, worker: str, record: _Record, link: LinkMeasure, now: float) -> bool:
        probe = self._released(worker, link.peer)
        peers = probe.peers if probe else (link.peer,)
        news = self._fold(record, peers, _Pair(link.bits_per_second, now))
        self._introduce(worker, peers, link, now)
        record.probed = now
        self._charge(worker, peers, link, alarm=probe is not None and probe.need is Need.ALARM)
        return news

    def _introduce(self, worker: str, peers: tuple[str, ...], link: LinkMeasure, now: float) -> None:
        """A partner without a rate has at least this much; it need not ask for the same probe again."""
        partner = self._records.get(peers[0])
        if len(peers) == 1 and partner and not partner.pairs:
            partner.pairs[(worker,)] = _Pair(link.bits_per_second, now)
            partner.probed = now

    def _released(self, worker: str, peer: str) -> Probe | None:
        probe = self._leases.get(worker, (None, 0.0))[0]
        if probe is None or probe.peers[0] != peer:
            return None
        del self._leases[worker]
        return probe

    def _fold(self, record: _Record, peers: tuple[str, ...], sample: _Pair) -> bool:
        """Take a measure into the averages; True where it is the first, or a leap that is believed."""
        best, offered = record.best(), self._offered(peers)
        if best is None:
            record.pairs[peers] = sample
            return True
        known, had = best[1].rate, self._most_offered(record)
        expected = known if offered is None else min(known, offered)
        if expected / LEAP < sample.rate < known * LEAP:
            return record.accept(peers, sample)
        limited = had is None or known > SATURATED * had
        if sample.rate > known and limited:
            # Not the link leapt: better partners show more of it.
            record.accept(peers, sample)
            return True
        return record.doubt(peers, sample)

    def _offered(self, peers: tuple[str, ...]) -> float | None:
        rates = [self._rate(peer) for peer in peers]
        return None if None in rates else sum(rate for rate in rates if rate)

    def _most_offered(self, record: _Record) -> float | None:
        """By the partners of any of its probes: what the node could have shown."""
        return max((offered for peers in record.fresh() if (offered := self._offered(peers))), default=None)

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
            offered=self._most_offered(record),
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
                record.probed, self._stale = now, True
                record.avoid.update(dict.fromkeys(probe.peers, now + AVOID_SECONDS))


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
