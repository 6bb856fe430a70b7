"""Who probes whom next: pure decisions over what was measured.

A star, not a mesh: each node is measured against one of the few fastest, so that its own link is the
bottleneck, in O(n) pairs. The fastest themselves would measure no more than their partners have; they
are measured against several at once. Links are paid for in time: a probe costs each end the seconds
that its link was full, and no end's account grows faster than a share of the clock.
"""

from collections.abc import Mapping, Sequence, Set
from dataclasses import dataclass
from enum import IntEnum

SHARE = 0.007
"""Of a link's time that regular probes may take in the long run."""
RESERVE_SHARE = 0.002
"""Kept for probes that confirm an alarm; the two leave a rest below 1 % for what the first probe took."""
EVERY_SECONDS = 20.0
"""Between two regular probes of a node, however fast its link."""
HUBS = 8
"""The fastest nodes, against whom the others are measured."""
RETRY_SECONDS = 5.0
"""Before another try at a node not well known yet."""
HEARD_SECONDS = 15.0
"""A peer silent for longer is not probed: its profiler reports every 5 s."""
YIELD_SECONDS = 30.0
"""How long regular probes stand back for a newcomer that waits for its first."""
HELPERS = 3
SATURATED = 0.8
"""A node that measures more than this part of what its partners offer may have more than it shows."""

SMALLEST_BURST, LARGEST_BURST = 128 << 10, 4 << 20
BURST_SECONDS = 0.05
"""A burst shorter than this measures queues, not the link."""
UNKNOWN_DEADLINE = 15.0


class Need(IntEnum):
    """Why a node should be probed; the smaller goes first."""

    ALARM = 0
    FIRST = 1
    REGULAR = 2
    NONE = 3


@dataclass(frozen=True)
class Node:
    """A member as the scheduler sees it. Times in seconds of one clock, rates in bits per second."""

    worker: str
    seen: float
    """When first heard."""
    heard: float
    """When last heard."""
    rate: float | None = None
    probed: float | None = None
    """When last measured, or tried in vain."""
    offered: float | None = None
    """What the partners of its best probe had; None where theirs was unknown."""
    credit: float = 0.0
    """Seconds of link time that regular probes may still take; below 0 until the last one is paid for."""
    reserve: float = 0.0
    """The same for alarms."""
    alarm: bool = False
    """Its last measure or its exchanges contradict its rate."""
    avoid: frozenset[str] = frozenset()
    """Peers that a probe failed with, or whose word needs a second opinion."""


@dataclass(frozen=True)
class Probe:
    worker: str
    peers: tuple[str, ...]
    """The first is the partner, the others help it fill the link."""
    need: Need
    bursts: int
    deadline_seconds: float

    @property
    def ends(self) -> frozenset[str]:
        return frozenset((self.worker, *self.peers))


def burst_bytes(rate: float | None) -> int:
    """The burst that fills a link of this rate long enough, as the profiler finds it by doubling."""
    size = SMALLEST_BURST
    while size < LARGEST_BURST and rate is not None and size * 8 / rate < BURST_SECONDS:
        size *= 2
    return size


def link_seconds(rate: float | None, size: int) -> float:
    """How long `size` bytes fill a link."""
    return size * 8 / rate if rate else 0.0


def need_of(node: Node, nodes: Mapping[str, Node], now: float) -> Need:
    """Whether a node should be probed now, and may be."""
    age = float("inf") if node.probed is None else now - node.probed
    if node.rate is None or _could_be_stretched(node, nodes):
        return Need.FIRST if age >= RETRY_SECONDS and node.credit >= 0 else Need.NONE
    if node.alarm and node.reserve >= 0:
        return Need.ALARM
    return Need.REGULAR if age >= EVERY_SECONDS and node.credit >= 0 else Need.NONE


def choose(worker: str, nodes: Mapping[str, Node], busy: Set[str], now: float) -> Probe | None:
    """The probe that `worker` shall make now, or None. `busy`: the ends of all probes under way."""
    node = nodes[worker]
    need = need_of(node, nodes, now)
    if need is Need.NONE or worker in busy:
        return None
    if need is Need.REGULAR and _others_first(node, nodes, busy, now):
        return None
    hubs = [hub for hub in _hubs(node, nodes, now) if hub.worker not in busy]
    free = [hub for hub in hubs if hub.credit >= 0 or need is Need.ALARM]
    partner = next((hub for hub in free if hub.worker not in node.avoid), next(iter(free), None))
    if partner is None:
        return None
    peers = (partner, *_helpers(node, partner, free))
    bursts = 1 if need is Need.ALARM else 3
    return Probe(worker, tuple(p.worker for p in peers), need, bursts, _deadline(node.rate, bursts))


def _others_first(node: Node, nodes: Mapping[str, Node], busy: Set[str], now: float) -> bool:
    def waits(other: Node) -> bool:
        if other is node or other.worker in busy or not _heard(other, now):
            return False
        need = need_of(other, nodes, now)
        return need is Need.ALARM or (need is Need.FIRST and now - other.seen < YIELD_SECONDS)

    return any(waits(other) for other in nodes.values())


def _hubs(node: Node, nodes: Mapping[str, Node], now: float) -> list[Node]:
    """Whom a node may be measured against, fastest first."""
    heard = [other for other in nodes.values() if other is not node and _heard(other, now)]
    heard.sort(key=_slowness)
    # Without any rate yet there is no fast one to prefer, and a few hubs would only keep newcomers waiting.
    return heard[:HUBS] if any(hub.rate for hub in heard) else heard


def _heard(node: Node, now: float) -> bool:
    return now - node.heard <= HEARD_SECONDS


def _slowness(node: Node) -> tuple[float, str]:
    return -(node.rate or 0.0), node.worker


def _could_be_stretched(node: Node, nodes: Mapping[str, Node]) -> bool:
    """Whether its probe may have shown the partners' limit, and others together could offer clearly more."""
    if node.rate is None or node.offered is None or node.rate <= SATURATED * node.offered:
        return False
    others = sorted((other.rate or 0.0 for other in nodes.values() if other is not node), reverse=True)
    return sum(others[: 1 + HELPERS]) > 1.25 * node.offered


def _helpers(node: Node, partner: Node, free: Sequence[Node]) -> list[Node]:
    """More peers where the partner alone may be the limit, until together they offer twice what is known."""
    chosen: list[Node] = []
    offered = partner.rate or 0.0
    if node.rate is None or node.rate <= SATURATED * offered:
        return chosen
    for helper in free:
        if offered >= 2 * node.rate or len(chosen) == HELPERS:
            break
        if helper is not partner and helper.rate is not None:
            chosen.append(helper)
            offered += helper.rate
    return chosen


def _deadline(rate: float | None, bursts: int) -> float:
    """For both directions, with a pause as long as the burst after each, at a quarter of the known rate."""
    if rate is None:
        return UNKNOWN_DEADLINE
    burst = link_seconds(rate / 4, burst_bytes(rate))
    return min(UNKNOWN_DEADLINE, 2.0 + bursts * 2 * 2 * burst)
