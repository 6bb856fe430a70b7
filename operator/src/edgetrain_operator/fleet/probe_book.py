"""What a job's probes have shown: rates, accounts of link time, and the probes under way."""

from collections.abc import Mapping, Set

from edgetrain_operator.fleet.link_time import LARGEST_BURST, link_seconds
from edgetrain_operator.fleet.probe_needs import (
    HELPERS,
    Need,
    ProbedNode,
    can_show,
    limited,
    needs_of,
    outgrown,
)
from edgetrain_operator.fleet.probes import Probe, ProbesView, choose, target_of, view_of
from edgetrain_operator.fleet.rates import LEAP, LinkRecord, Pair
from edgetrain_operator.fleet.reachability import reachability, was_missed, were_reached
from edgetrain_operator.fleet.witnesses import WITNESS_SECONDS, bear_witness, hold, is_borne_out
from edgetrain_operator.fleet_state import NodeRate, StampedReport
from edgetrain_protocol.report import LinkMeasure, NodePart, ProbeOrder

VIEW_SECONDS = 1.0
VIEW_SECONDS_A_NODE = 0.0005
"""A view of all nodes is as dear as they are many: it is drawn anew no sooner than this allows."""
LEASE_SLACK = 8.0
SETTLING_SECONDS = 30.0
"""From a node's first probe until its rate is shown, however little its partners had to offer."""
AVOID_SECONDS = 30.0
UNREASONABLE = 8.0
INFINITE = float("inf")
EAGER_SECONDS, CALM_SECONDS = 1.0, 5.0
EAGER_NODES = 50


class ProbeBook:
    """Of one job. Times are the operator's; not locked, its owner does that."""

    def __init__(self) -> None:
        self._records: dict[str, LinkRecord] = {}
        self._leases: dict[str, tuple[Probe, float]] = {}
        """By the worker that probes: the probe and when it counts as failed."""
        self._view = ProbesView({}, (), frozenset())
        self._viewed = float("-inf")
        self._stale = True

    def rates(self, now: float) -> Mapping[str, NodeRate]:
        """By worker. A new node is not among them while it has shown no more than its partners' limit and
        better partners are about to tell: it would be taken for as slow as they are. Nor is one that says to
        be the fastest of three or more, before another bears it out: one that is not new is shown as fast as
        the next."""
        rates = {worker: rate for worker in self._records if (rate := self._rate(worker)) is not None}
        fastest, *others = sorted(rates, key=lambda worker: -rates[worker]) or [""]
        unseen = len(others) > 1 and not is_borne_out(self._records, fastest, now)
        if unseen:
            rates[fastest] = rates[others[0]]
        offer = sum(rates[worker] for worker in others[: 1 + HELPERS])
        return {
            worker: self._records[worker].shown_as(rate)
            for worker, rate in rates.items()
            if not self._is_new(self._records[worker], offer, now)
            and not (unseen and worker == fastest and now - self._records[worker].first < WITNESS_SECONDS)
        }

    def reachable(self) -> Mapping[str, bool]:
        """By worker, of those with whom anybody has tried to measure; before its rate is shown."""
        return reachability(self._records)

    def _is_new(self, record: LinkRecord, offer: float, now: float) -> bool:
        if now - record.first >= SETTLING_SECONDS:
            return False
        had = self._most_offered(record)
        return had is not None and outgrown(record.rate or 0.0, had, offer)

    def record(self, worker: str, measured: NodePart, now: float) -> bool:
        """Take in what a node measured. True where its rate leapt, or is known for the first time."""
        new = worker not in self._records
        record = self._records.setdefault(worker, LinkRecord(seen=now, paid_at=now))
        self._stale |= new or bool(measured.links) or (measured.bandwidth_alarm and record.alarm is None)
        news = False
        for link in sorted(measured.links, key=lambda link: link.at):
            if link.at > record.measured_at and (probe := self._released(worker, link.peer)):
                record.measured_at = link.at
                news |= self._take(worker, probe, link, now)
        if measured.bandwidth_alarm:
            record.raised(now)
        if measured.probe_failed and (probe := self._released(worker, measured.probe_failed)):
            self._failed(record, (measured.probe_failed,), now)
            was_missed(self._records, probe.peers, worker, now)
        return news

    def pace(self, worker: str, now: float) -> float:
        """Seconds between this worker's reports: few while it should be probed, in a fleet not too large."""
        if worker not in self._view.nodes or len(self._records) > EAGER_NODES:
            return CALM_SECONDS
        wanted = needs_of(self._view.nodes[worker], self._view.hubs, now)
        return EAGER_SECONDS if any(need < Need.REGULAR for need in wanted) else CALM_SECONDS

    def order_for(self, worker: str, reports: Mapping[str, StampedReport], now: float) -> ProbeOrder | None:
        """The probe that this worker shall make now; it counts as under way until measured or timed out."""
        self._expire(now)
        view = self._view_at(reports, now)
        if worker not in view.nodes:
            return None
        probe = choose(worker, view, self._busy(), now)
        # The view may be older than the end of a peer's pod.
        if probe is None or not reports.keys() >= set(probe.peers):
            return None
        self._leases[worker] = (probe, now + probe.deadline_seconds + LEASE_SLACK)
        partner, *helpers = [target_of(peer, reports[peer], self._rate(peer)) for peer in probe.peers]
        return ProbeOrder(
            **partner.model_dump(),
            max_bytes=LARGEST_BURST,
            deadline_seconds=probe.deadline_seconds,
            bursts=probe.bursts,
            helpers=tuple(helpers),
        )

    def _view_at(self, reports: Mapping[str, StampedReport], now: float) -> ProbesView:
        """Not drawn up for each who asks: a thousand nodes ask two hundred times a second."""
        age = now - self._viewed
        if age > VIEW_SECONDS or (self._stale and age >= VIEW_SECONDS_A_NODE * len(self._records)):
            for worker in [w for w in self._records if w not in reports]:
                del self._records[worker]
                self._leases.pop(worker, None)
            self._view = view_of({w: self._node(w, reports[w], now) for w in self._records}, now)
            self._stale, self._viewed = False, now
        return self._view

    def _take(self, worker: str, probe: Probe, link: LinkMeasure, now: float) -> bool:
        record, peers, thought = self._records[worker], probe.peers, self._together(probe.peers)
        were_reached(self._records, peers)
        # No link shows more than there is at its other end; which may be more than is known of it yet.
        most = INFINITE if thought is None else UNREASONABLE * thought
        sized_for = INFINITE if thought is None or len(peers) == 1 else thought
        sample = Pair(min(link.bits_per_second, most), now, link.peer_load_bits_per_second, sized_for)
        news = self._fold(worker, peers, sample)
        record.partner = peers[0]
        hold(self._records, worker, now)
        if len(peers) == 1:
            bear_witness(self._records, peers[0], worker, sample)
        if probe.need is Need.CHECK:
            record.checked = now
        else:
            record.probed = now
        self._charge(worker, peers, link, alarm=probe.need is Need.ALARM)
        return news

    def _released(self, worker: str, peer: str) -> Probe | None:
        probe = self._leases.get(worker, (None, 0.0))[0]
        if probe is None or probe.peers[0] != peer:
            return None
        del self._leases[worker]
        return probe

    def _fold(self, worker: str, peers: tuple[str, ...], sample: Pair) -> bool:
        """Take a measure into the averages; True where it is the first, or a leap that is believed."""
        record = self._records[worker]
        known, offered = record.rate, self._offered(peers, sample)
        if known is None:
            record.accept(peers, sample)
            return True
        if offered is not None and sample.rate < known and sample.load > offered:
            # The partner's link was mostly taken: what was left over says nothing of this node's.
            return False
        if sample.rate >= known * LEAP:
            return self._rises(record, peers, sample)
        expected = known if offered is None else min(known, offered)
        if sample.rate > expected / LEAP and not record.bears_out_a_fall(sample.rate, offered):
            self._bear_out(worker, peers, sample, offered)
            return False
        if record.doubt(peers, sample, self._witnesses(peers, sample)):
            return True
        self._doubt_partner(worker, peers[0], sample)
        return False

    def _rises(self, record: LinkRecord, peers: tuple[str, ...], sample: Pair) -> bool:
        """Take in a measure well above the rate: at once where the partners so far may have been the limit,
        else the second time, for one may be an accident of the clock."""
        had = self._most_offered(record)
        believed = had is None or limited(record.rate or 0.0, had) or record.shown is not None
        if not believed:
            record.shown, record.shown_with = sample.rate, peers[0]
            return False
        record.rise(peers, sample)
        return True

    def _bear_out(self, worker: str, peers: tuple[str, ...], sample: Pair, offered: float | None) -> None:
        record = self._records[worker]
        self._clear_partner(peers, sample)
        self._accuse(worker, record.low_with.keys() - set(peers), sample.at)
        record.accept(peers, sample)
        if offered is not None and not limited(record.rate or 0.0, offered):
            record.borne_out += 1
        if record.shown_with in peers and can_show(offered or 0.0, record.shown or 0.0):
            record.shown = None

    def _clear_partner(self, peers: tuple[str, ...], sample: Pair) -> None:
        """Who carried as much as it is said to have is in doubt no longer."""
        partner = self._records.get(peers[0])
        if len(peers) == 1 and partner and partner.rate and sample.rate * LEAP > partner.rate:
            partner.cleared()

    def _accuse(self, worker: str, partners: Set[str], now: float) -> None:
        """Where a node showed too little with them, and as much as ever with others, it was their doing."""
        for peer in partners:
            if partner := self._records.get(peer):
                partner.accused(worker, now)

    def _witnesses(self, peers: tuple[str, ...], sample: Pair) -> tuple[str, ...]:
        """The partner; and a helper, where the measure falls short of what all but the largest peer have."""
        rates = sorted(self._rate(peer) or 0.0 for peer in peers)
        return peers[:2] if sample.rate * LEAP < sum(rates[:-1]) - sample.load else peers[:1]

    def _doubt_partner(self, worker: str, peer: str, sample: Pair) -> None:
        """A leap may be the partner's doing, unless it would have had to fall out of all reason."""
        partner = self._records.get(peer)
        if partner and partner.rate and LEAP * sample.rate < partner.rate <= UNREASONABLE * sample.rate:
            partner.accused(worker, sample.at)

    def _offered(self, peers: tuple[str, ...], pair: Pair) -> float | None:
        """What the peers had for this measure, by what is known of them now; None where it is not."""
        together = self._together(peers)
        return None if together is None else max(0.0, min(together, pair.sized_for) - pair.load)

    def _together(self, peers: tuple[str, ...]) -> float | None:
        together = 0.0
        for peer in peers:
            rate = self._rate(peer)
            if rate is None:
                return None
            together += rate
        return together

    def _most_offered(self, record: LinkRecord) -> float | None:
        """By the partners of any of its probes: what the node could have shown."""
        offers = (self._offered(*item) for item in record.pairs.items())
        return max((offered for offered in offers if offered is not None), default=None)

    def _rate(self, worker: str, now: float = -INFINITE) -> float | None:
        """As others let it be; `now`: for a while, then it may show again."""
        record = self._records.get(worker)
        return record.held_rate(now) if record else None

    def _charge(self, worker: str, peers: tuple[str, ...], link: LinkMeasure, *, alarm: bool) -> None:
        """Each end pays by its own link's rate; the peers of a joint probe for their part of it."""
        record = self._records[worker]
        cost = link_seconds(record.rate, link.bytes)
        if alarm:
            record.reserve -= cost
        else:
            record.credit -= cost
        offered = self._together(peers)
        for peer in peers:
            part = (self._rate(peer) or 0.0) / offered if offered else 1.0 / len(peers)
            if held := self._records.get(peer):
                held.credit -= link_seconds(held.rate or link.bits_per_second, int(link.bytes * part))

    def _node(self, worker: str, report: StampedReport, now: float) -> ProbedNode:
        record = self._records[worker]
        record.earn(now)
        avoid, doubted = (
            frozenset(peer for peer, until in peers.items() if until > now)
            for peers in (record.avoid, record.doubted)
        )
        return ProbedNode(
            worker,
            seen=record.seen,
            heard=report.measured_received or 0.0,
            rate=self._rate(worker, now),
            borne_out=record.borne_out,
            shown=record.shown,
            shown_with=record.shown_with,
            probed=record.probed,
            checked=record.checked,
            offered=self._most_offered(record),
            credit=record.credit,
            reserve=record.reserve,
            alarm=record.alarm,
            avoid=avoid,
            doubted=doubted,
            partner=record.partner,
            held_by=record.held_by,
        )

    def _busy(self) -> set[str]:
        return {end for probe, _ in self._leases.values() for end in probe.ends}

    def _expire(self, now: float) -> None:
        for worker, (probe, until) in list(self._leases.items()):
            if until <= now:
                del self._leases[worker]
                self._failed(self._records[worker], probe.peers, now)

    def _failed(self, record: LinkRecord, peers: tuple[str, ...], now: float) -> None:
        record.probed, self._stale = now, True
        record.avoid.update(dict.fromkeys(peers, now + AVOID_SECONDS))
