"""Who probes whom next: pure decisions over what was measured.

A star, not a mesh: each node is measured against one of the few fastest, so that its own link is the
bottleneck, in O(n) pairs. The fastest themselves would measure no more than their partners have; they
are measured against several at once. Links are paid for in time: a probe costs each end the seconds
that its link was full, and no end's account grows faster than a share of the clock.
"""

from collections.abc import Mapping, Sequence, Set
from dataclasses import dataclass
from enum import IntEnum

SHARE = 0.0055
"""Of a link's time that regular probes may take in the long run."""
RESERVE_SHARE = 0.0025
"""Kept for probes that confirm an alarm; the three leave a rest below 1 % for what the first probe took."""
CHECK_SHARE = 0.0015
"""What sets the pace of checks, also of those who still pay off what their first probes took."""
EVERY_SECONDS = 20.0
"""Between two regular probes of a node, however fast its link."""
CHECK_SECONDS = 10.0
"""Between two checks of a node, at least: a small burst shows a link that has fallen by more than half. The
exchanges need not show it, where another link is the group's slowest."""
LONG_SECONDS = 120.0
"""After which a node takes any partner rather than wait for a fast one."""
HUBS = 8
"""The fastest nodes, against whom the others are measured."""
RETRY_SECONDS = 5.0
"""Before another try at a node not well known yet."""
HEARD_SECONDS = 15.0
"""A peer silent for longer is not probed: its profiler reports every 5 s."""
YIELD_SECONDS = 30.0
"""How long regular probes stand back for a newcomer's first, or for one that confirms an alarm."""
HELPERS = 3
SATURATED = 0.8
"""A node that measures more than this part of what its partners offer may have more than it shows."""
STRETCH = 1.25
"""How much more the best partners must offer to be worth another probe."""
OF_USE = 0.1
"""A helper adds at least this part to what the others offer, or it is left alone."""
TELLING = 0.65
"""The part of a node's rate that its partners must offer; less would show them, not the node."""
TELLING_OF_FALL = 0.4
"""The same where it is asked whether the rate has fallen, by more than half: a small burst with one
partner tells that soon, also where a link is choked and a large one would take ten seconds."""
PLENTY = 2.0
"""How many times a node's rate its partners are to offer together where it is asked how fast its link is."""
ALARM_DEBT = 0.1
"""Seconds of link time that an alarm may owe: one group's changes raise several, one after another."""

SMALLEST_BURST, LARGEST_BURST = 128 << 10, 4 << 20
BURST_SECONDS = 0.02
"""A burst shorter than this measures queues, not the link."""
UNKNOWN_DEADLINE = 15.0


class Need(IntEnum):
    """Why a node should be probed; the smaller goes first."""

    ALARM = 0
    FIRST = 1
    STRETCH = 2
    """Its partners may have been the limit, and better ones are there now."""
    REGULAR = 3
    CHECK = 4
    NONE = 5


LEAST_CREDIT = {
    Need.ALARM: float("-inf"),
    Need.FIRST: -1.0,
    Need.STRETCH: -1.0,
    Need.REGULAR: 0.0,
    Need.CHECK: -1.0,
}
"""Seconds of link time: what a probe's ends must have, or may owe. A fleet that starts has saved nothing, so
first probes are taken in advance; an alarm has the reserve of the one who raises it."""
LEAST_OWN_CREDIT = LEAST_CREDIT | {Need.STRETCH: -3.0}
"""Of the node itself. One to be stretched was charged by the rate it showed, which was its partners'."""
FALLS = (Need.ALARM, Need.CHECK)
"""Needs to know whether a rate has fallen, not how high it is."""
BURSTS = {Need.ALARM: 1, Need.FIRST: 3, Need.STRETCH: 1, Need.REGULAR: 3, Need.CHECK: 1}


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
    checked: float | None = None
    """The same of checks."""
    offered: float | None = None
    """What the partners of its best probe had; None where theirs was unknown."""
    credit: float = 0.0
    """Seconds of link time that regular probes may still take; below 0 until the last one is paid for."""
    reserve: float = 0.0
    """The same for alarms."""
    alarm: float | None = None
    """Since when a measure, or its exchanges, contradict its rate."""
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


@dataclass(frozen=True)
class View:
    """All members at one moment, with what every decision needs of them."""

    nodes: Mapping[str, Node]
    hubs: tuple[Node, ...]
    """Against whom nodes are measured, fastest first."""
    urgent: frozenset[str]
    """Those for whom regular probes stand back."""


def view_of(nodes: Mapping[str, Node], now: float) -> View:
    heard = sorted((node for node in nodes.values() if _heard(node, now)), key=_slowness)
    # Without any rate yet there is no fast one to prefer, and a few hubs would only keep newcomers waiting.
    hubs = tuple(heard[: HUBS + 1] if any(node.rate for node in heard) else heard)
    urgent = frozenset(node.worker for node in heard if _is_urgent(node, hubs, now))
    return View(nodes, hubs, urgent)


def needs_of(node: Node, hubs: Sequence[Node], now: float) -> list[Need]:
    """Why a node should be probed now, and may be; the most urgent first."""
    wishes = [_wish(node, hubs, _age(node, now)), Need.CHECK if _check_due(node, now) else Need.NONE]
    needs = [need for need in wishes if _affords(node, need)]
    if node.alarm is not None and node.rate is not None and node.reserve >= -ALARM_DEBT:
        return [Need.ALARM, *needs]
    return needs


def choose(worker: str, view: View, busy: Set[str], now: float) -> Probe | None:
    """The probe that `worker` shall make now, or None. `busy`: the ends of all probes under way."""
    node = view.nodes[worker]
    if worker in busy:
        return None
    probes = (_probe_for(node, need, view, busy, now) for need in needs_of(node, view.hubs, now))
    return next((probe for probe in probes if probe), None)


def _probe_for(node: Node, need: Need, view: View, busy: Set[str], now: float) -> Probe | None:
    if need > Need.FIRST and view.urgent - busy - {node.worker}:
        return None
    others = [hub for hub in view.hubs if hub.worker != node.worker]
    free = [hub for hub in others if hub.worker not in busy and hub.credit >= LEAST_CREDIT[need]]
    patient = need is Need.REGULAR and _age(node, now) < LONG_SECONDS
    if patient and any(_ample(hub, node) for hub in others):
        free = [hub for hub in free if _ample(hub, node)]
    peers = _peers(node, free, need)
    if not peers or (need is Need.STRETCH and not _stretches(node, peers)):
        return None
    telling = TELLING_OF_FALL if need in FALLS else TELLING if patient else 0.0
    if not _tells(node, peers, others, telling):
        return None
    names = tuple(peer.worker for peer in peers)
    return Probe(node.worker, names, need, BURSTS[need], _deadline(node.rate, BURSTS[need]))


def _affords(node: Node, need: Need) -> bool:
    return need is not Need.NONE and node.credit >= LEAST_OWN_CREDIT[need]


def _wish(node: Node, hubs: Sequence[Node], age: float) -> Need:
    if node.rate is None:
        return Need.FIRST if age >= RETRY_SECONDS else Need.NONE
    if age >= RETRY_SECONDS and _stretches(node, [h for h in hubs if h is not node][: 1 + HELPERS]):
        return Need.STRETCH
    return Need.REGULAR if age >= EVERY_SECONDS else Need.NONE


def _check_due(node: Node, now: float) -> bool:
    if node.rate is None:
        return False
    cost = link_seconds(node.rate, burst_bytes(node.rate))
    age = min(_age(node, now), _passed(node.checked, now))
    return age >= max(CHECK_SECONDS, cost / CHECK_SHARE)


def _is_urgent(node: Node, hubs: Sequence[Node], now: float) -> bool:
    since = {Need.ALARM: node.alarm, Need.FIRST: node.seen}
    waits = (since.get(need) for need in needs_of(node, hubs, now))
    return any(begun is not None and now - begun < YIELD_SECONDS for begun in waits)


def _age(node: Node, now: float) -> float:
    return _passed(node.probed, now)


def _passed(since: float | None, now: float) -> float:
    return float("inf") if since is None else now - since


def _heard(node: Node, now: float) -> bool:
    return now - node.heard <= HEARD_SECONDS


def _slowness(node: Node) -> tuple[float, str]:
    return -(node.rate or 0.0), node.worker


def _ample(hub: Node, node: Node) -> bool:
    """Whether the hub is so much faster that a probe with it shows the node's own link."""
    return (hub.rate or 0.0) * SATURATED >= (node.rate or 0.0)


def _stretches(node: Node, peers: Sequence[Node]) -> bool:
    """Whether these peers offer clearly more than those of the last probe, who may have been its limit."""
    if node.rate is None or node.offered is None or node.rate <= SATURATED * node.offered:
        return False
    return sum(peer.rate or 0.0 for peer in peers) > STRETCH * node.offered


def _tells(node: Node, peers: Sequence[Node], others: Sequence[Node], part: float) -> bool:
    """Whether these peers offer this part of the node's rate, as far as there is so much."""
    possible = sum(other.rate or 0.0 for other in others[: 1 + HELPERS])
    return sum(peer.rate or 0.0 for peer in peers) >= part * min(node.rate or 0.0, possible)


def _peers(node: Node, free: Sequence[Node], need: Need) -> list[Node]:
    """The fastest free partner; where it may be the limit, more, until they offer enough for this need."""
    wanted = [hub for hub in free if hub.worker not in node.avoid] or list(free)
    if node.alarm is not None:
        # Two that are both in doubt cannot tell whose link it is.
        wanted.sort(key=lambda hub: hub.alarm is not None)
    chosen = wanted[:1]
    # Who is to be stretched has shown too little: one ample for that may be its limit again.
    if not chosen or node.rate is None or (need is not Need.STRETCH and _ample(chosen[0], node)):
        return chosen
    offered, part = chosen[0].rate or 0.0, TELLING_OF_FALL if need in FALLS else PLENTY
    for helper in wanted[1:]:
        if offered >= part * node.rate or len(chosen) > HELPERS or (helper.rate or 0.0) < OF_USE * offered:
            break
        chosen.append(helper)
        offered += helper.rate or 0.0
    return chosen


def _deadline(rate: float | None, bursts: int) -> float:
    """For both directions, with a pause as long as the burst after each, at a quarter of the known rate."""
    if rate is None:
        return UNKNOWN_DEADLINE
    burst = link_seconds(rate / 4, burst_bytes(rate))
    return min(UNKNOWN_DEADLINE, 4.0 + bursts * 2 * 2 * burst)
