"""A fleet whose links are simulated, and whose probes the operator's scheduler orders."""

import random
from collections import defaultdict
from dataclasses import dataclass, field

from edgetrain_operator.fleet.link_time import burst_bytes
from edgetrain_operator.fleet.probe_book import SETTLING_SECONDS, ProbeBook
from edgetrain_operator.fleet_state import StampedReport
from edgetrain_protocol.report import LinkMeasure, NodePart, ProbeOrder
from tests.support.fleet import report

MBIT = 1e6


@dataclass
class Fleet:
    """Nodes with links of known rates, who report, probe when told to, and pay in link time."""

    rates: dict[str, float]
    noise: float = 0.0
    seed: int = 0
    starved_seconds: float = 0.0
    now: float = 1000.0
    book: ProbeBook = field(default_factory=ProbeBook)
    reports: dict[str, StampedReport] = field(default_factory=dict)
    alarms: set[str] = field(default_factory=set)
    says: dict[str, float] = field(default_factory=dict)
    """What they report instead of what they measure."""
    hidden: set[str] = field(default_factory=set)
    """Whom nobody reaches, as behind NAT. They reach others."""
    load: float = 0.0
    """Of the partners' links, as these report it."""
    due: dict[str, float] = field(default_factory=dict)
    running: dict[str, tuple[ProbeOrder, float]] = field(default_factory=dict)
    probed: list[tuple[float, str, tuple[str, ...]]] = field(default_factory=list)
    measured: list[str] = field(default_factory=list)
    shown: dict[str, float] = field(default_factory=dict)
    """Since when each worker's rate has been shown."""
    used: defaultdict[str, float] = field(default_factory=lambda: defaultdict(float))

    def __post_init__(self) -> None:
        self.random = random.Random(self.seed)
        for worker in self.rates:
            self.due[worker] = self.now + self.random.uniform(0, 1)

    def run(self, seconds: float) -> None:
        end = self.now + seconds
        while True:
            worker = min(self.due, key=lambda w: self.due[w])
            if self.due[worker] > end:
                self.now = end
                return
            self.now = self.due[worker]
            self._report(worker)

    def _report(self, worker: str) -> None:
        link = failed = None
        if worker in self.running:
            ran = self.running.pop(worker)[0]
            failed = ran.peer if self.hidden.intersection(_peers(ran)) else None
            link = None if failed else self._measured(worker, ran)
            self.measured.append(worker)
            self.alarms.discard(worker)
        part = NodePart(
            links=(link,) if link else (), bandwidth_alarm=worker in self.alarms, probe_failed=failed
        )
        self.reports[worker] = StampedReport(
            report(worker, measured=part), measured=part, measured_received=self.now
        )
        self.book.record(worker, part, self.now)
        order = self.book.order_for(worker, self.reports, self.now)
        self.due[worker] = self.now + (5.0 if self._is_shown(worker) else 1.0)
        if order:
            self._begin(worker, order)

    def _is_shown(self, worker: str) -> bool:
        """Once it has settled it is so for good; not asked again, since that computes the rates of all."""
        if self.now - self.shown.get(worker, self.now) > SETTLING_SECONDS:
            return True
        if worker not in self.book.rates(self.now):
            return False
        self.shown.setdefault(worker, self.now)
        return True

    def _begin(self, worker: str, order: ProbeOrder) -> None:
        ends = {worker, *_peers(order)}
        for other, (running, _) in self.running.items():
            assert not ends & {other, *_peers(running)}, f"{worker} and {other} probe at the same time"
        assert worker not in _peers(order)
        seconds = 4 * order.bursts * self._bytes(worker, order) * 8 / self._joint(worker, order)
        self.running[worker] = (order, self.now)
        self.probed.append((self.now, worker, _peers(order)))
        self.due[worker] = self.now + min(seconds, order.deadline_seconds)

    def _measured(self, worker: str, order: ProbeOrder) -> LinkMeasure:
        rate, size = self._joint(worker, order), order.bursts * self._bytes(worker, order)
        offered = sum(self.rates[peer] for peer in _peers(order))
        self.used[worker] += size * 8 / self.rates[worker]
        for peer in _peers(order):
            self.used[peer] += size * self.rates[peer] / offered * 8 / self.rates[peer]
        noisy = self._starved(rate) * (1 + self.random.uniform(-self.noise, self.noise))
        said = self.says.get(worker, noisy)
        return LinkMeasure(
            peer=order.peer,
            bits_per_second=said,
            peer_load_bits_per_second=self.load,
            bytes=size,
            at=self.now,
        )

    def says_once(self, worker: str, rate: float, load: float = 0.0) -> None:
        """What it measures next comes out as this."""
        before = len(self.measured)
        self.says[worker], self.load = rate, load
        while worker not in self.measured[before:]:
            self.run(0.005)
        del self.says[worker]
        self.load = 0.0

    def _starved(self, rate: float) -> float:
        """Half of what is measured while pods begin, and compete for their processors, falls short."""
        if self.now - 1000.0 > self.starved_seconds or self.random.random() < 0.5:
            return rate
        return rate * self.random.uniform(0.35, 1.0)

    def _joint(self, worker: str, order: ProbeOrder) -> float:
        return min(self.rates[worker], sum(self.rates[peer] for peer in _peers(order)))

    def _bytes(self, worker: str, order: ProbeOrder) -> int:
        return burst_bytes(self._joint(worker, order))

    def best(self) -> str:
        rates = self.book.rates(self.now)
        return max(rates, key=lambda worker: rates[worker].bits_per_second)


def _peers(order: ProbeOrder) -> tuple[str, ...]:
    return (order.peer, *(helper.peer for helper in order.helpers))


def fleet_of(*mbit: float, noise: float = 0.0, seed: int = 0, starved_seconds: float = 0.0) -> Fleet:
    rates = {f"w-{number}": rate * MBIT for number, rate in enumerate(mbit)}
    return Fleet(rates, noise, seed, starved_seconds)
