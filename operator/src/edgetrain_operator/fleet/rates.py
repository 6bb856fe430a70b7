"""What one node's probes have shown, and its account of link time."""

from dataclasses import dataclass, field, replace

from edgetrain_operator.fleet.link_time import RESERVE_SHARE, SHARE, burst_bytes, link_seconds
from edgetrain_operator.fleet.probe_needs import STRETCH
from edgetrain_operator.fleet.probes import SATURATED
from edgetrain_operator.fleet_state import NodeRate

WEIGHT = 0.4
"""Of a new measure in the moving average."""
LEAP = 1.6
"""A measure off by this factor is no noise: it is confirmed by another, which then replaces the average.
Two measures that are each off by a fifth differ by 1.5."""
PAIR_SECONDS = 180.0
"""A pair not measured for so long no longer speaks for its node, where another does."""
DOUBT_SECONDS = 60.0
"""How long it is not the partner of a doubtful measure that is asked for the second one, if one can tell."""

VOICES = 8
"""Others whose measures with a node are remembered, beside its own."""
SECOND_OPINIONS = 2
"""Bursts that an account for alarms saves: of two in doubt, it takes a third to tell which it is."""

Peers = tuple[str, ...]
"""Who took part at the other end; the first is the partner."""


@dataclass(frozen=True)
class Pair:
    """A rate with some peers: averaged, or as just measured."""

    rate: float
    at: float
    load: float = 0.0
    """Of the peers' links, other than by the probe."""
    sized_for: float = float("inf")
    """What the peers of a joint probe were thought to have: each sent no more than that lasts."""


@dataclass
class LinkRecord:
    """What is known of one node's link. Times are by the operator's clock, but for `measured_at`."""

    seen: float
    paid_at: float
    """Up to when the accounts below have been credited."""
    credit: float = 0.0
    reserve: float = 0.0
    first: float = float("inf")
    """When first measured."""
    probed: float | None = None
    checked: float | None = None
    alarm: float | None = None
    """Since when its rate is in doubt: by its exchanges, by a measure of its own or by a partner's."""
    contradicted: list[str] = field(default_factory=list)
    """At the other ends of the measures that speak of a fall, which is not believed yet."""
    low_with: dict[str, float] = field(default_factory=dict)
    """Of those, the partners of its own measures; what it showed with each."""
    measured_at: float = float("-inf")
    """The newest measure taken in, by the node's own clock: a report sent again brings it again."""
    borne_out: int = 0
    """Measures that bore its rate out though their partners could have shown more."""
    shown: float | None = None
    """A rate well above its own, which one measure showed; a second one is believed."""
    shown_with: str = ""
    """The partner of that measure: what another shows less of may be the other's doing."""
    avoid: dict[str, float] = field(default_factory=dict)
    """Peers with whom a probe failed, not to be asked, and until when."""
    missed: dict[str, float] = field(default_factory=dict)
    """Who has tried to measure with it, and did not reach it, since anybody did; and when last."""
    missed_since: float = 0.0
    """When the first of them did."""
    reached: bool = False
    """Somebody once did."""
    doubted: dict[str, float] = field(default_factory=dict)
    """Partners of doubtful measures, and until when rather another is asked for the second opinion."""
    pairs: dict[Peers, Pair] = field(default_factory=dict)
    shown_to: dict[str, Pair] = field(default_factory=dict)
    """What others last measured with this node alone at the other end: the newest last."""
    witnessed: float = 0.0
    """The highest rate of its own that another bore out."""
    held: tuple[float, float] = (float("inf"), float("-inf"))
    """To what others' measures hold its rate down, and since when they were last asked."""
    held_by: frozenset[str] = frozenset()
    """Whose measures do: they are to measure with it again, for they may have fallen short by chance."""
    best: tuple[Peers, Pair] | None = None
    """The pair that speaks for the node."""
    partner: str = ""
    """Of its last measure."""

    @property
    def rate(self) -> float | None:
        """By its own word."""
        return self.best[1].rate if self.best else None

    def held_rate(self, now: float = float("-inf")) -> float | None:
        """By its own word, and no more than others hold it to; `now`: for a while, then it may show again."""
        (most, asked), rate = self.held, self.rate
        return rate if rate is None or now > asked + DOUBT_SECONDS else min(rate, most)

    def rate_without(self, peer: str) -> float:
        """What it has shown to others than this one."""
        return max((pair.rate for peers, pair in self.pairs.items() if peer not in peers), default=0.0)

    def shown_as(self, rate: float) -> NodeRate:
        """For elections, once it was measured."""
        assert self.best is not None
        peers, pair = self.best
        return NodeRate(rate, pair.at, peers[0], confirmed=self.alarm is None)

    def earn(self, now: float) -> None:
        """Link time for the time since; saved for few bursts: credit is no licence for a volley."""
        most = link_seconds(self.rate, burst_bytes(self.rate))
        elapsed = max(0.0, now - self.paid_at)
        self.credit = min(most, self.credit + SHARE * elapsed)
        self.reserve = min(SECOND_OPINIONS * most, self.reserve + RESERVE_SHARE * elapsed)
        self.paid_at = now

    def accept(self, peers: Peers, sample: Pair) -> None:
        """Fold a measure into its pair's average."""
        self.cleared()
        self.avoid.pop(peers[0], None)
        self.doubted.pop(peers[0], None)
        held = self.pairs.get(peers)
        rate = sample.rate if held is None else held.rate + WEIGHT * (sample.rate - held.rate)
        self._settle({**self.pairs, peers: replace(sample, rate=rate)}, sample.at)

    def rise(self, peers: Peers, sample: Pair) -> None:
        """Believe that it has more than it has shown so far. What it owes was counted by that: too much, for
        it was its partners' links that were full."""
        before = self.rate or sample.rate
        self.cleared()
        self._settle({**self.pairs, peers: sample}, sample.at)
        self.credit *= before / sample.rate if self.credit < 0 else 1.0

    def show(self, to: str, sample: Pair) -> None:
        """Another has measured with this node alone at the other end."""
        self.shown_to.pop(to, None)
        self.shown_to[to] = replace(sample, rate=sample.rate + sample.load)
        if len(self.shown_to) > VOICES:
            del self.shown_to[next(iter(self.shown_to))]

    def doubt(self, peers: Peers, sample: Pair, witnesses: Peers) -> bool:
        """Believe a fall that two other ends speak of, since one may have leapt itself; True if so.

        Never the first word of it; and where there is only one other end, after the third measure.
        `witnesses`: of the peers, those who cannot both be the cause.
        """
        self.contradicted.extend(witnesses)
        agreed = len(set(self.contradicted)) > 1 or len(self.contradicted) > 2
        if self.alarm is None or not agreed:
            self.raised(sample.at)
            self.doubted[peers[0]] = sample.at + DOUBT_SECONDS
            self.low_with[peers[0]] = sample.rate
            return False
        self.cleared()
        self._settle({peers: sample}, sample.at)
        return True

    def bears_out_a_fall(self, rate: float, offered: float | None) -> bool:
        """Whether a measure that its partners alone might excuse shows again what was not believed yet."""
        low = min(self.low_with.values(), default=0.0)
        excused = offered is not None and rate > SATURATED * offered
        return rate * LEAP < (self.rate or 0.0) and rate < LEAP * low and not excused

    def accused(self, by: str, now: float) -> None:
        """Another's measure, with this node at the other end, may have been this node's doing."""
        self.raised(now)
        self.contradicted.append(by)

    def raised(self, now: float) -> None:
        """Something from outside contradicts the rate."""
        self.alarm = now if self.alarm is None else self.alarm

    def cleared(self) -> None:
        """A measure bears the rate out, or a new one is believed."""
        self.alarm = None
        self.contradicted.clear()
        self.low_with.clear()

    def _settle(self, pairs: dict[Peers, Pair], now: float) -> None:
        self.first = min(self.first, now)
        self.pairs = {peers: pair for peers, pair in pairs.items() if pair.at >= now - PAIR_SECONDS}
        before = self.rate
        self.best = max(self.pairs.items(), key=lambda item: item[1].rate)
        if before is not None and not before / STRETCH < self.best[1].rate < before * STRETCH:
            self.borne_out, self.shown = 0, None
