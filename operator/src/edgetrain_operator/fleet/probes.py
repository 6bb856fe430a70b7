"""Who probes whom next: pure decisions over what was measured.

A star, not a mesh: each node is measured against one of the few fastest, so that its own link is the
bottleneck, in O(n) pairs. The fastest themselves would measure no more than their partners have; they
are measured against several at once. Links are paid for in time: a probe costs each end the seconds
that its link was full, and no end's account grows faster than a share of the clock.
"""

from collections.abc import Mapping, Sequence, Set
from dataclasses import dataclass

from edgetrain_operator.fleet.link_time import burst_bytes, link_seconds
from edgetrain_operator.fleet.probe_needs import (
    HELPERS,
    LEAST_CREDIT,
    Need,
    ProbedNode,
    age_of,
    is_urgent,
    may_show_more,
    needs_of,
    together,
)
from edgetrain_operator.fleet_state import StampedReport
from edgetrain_protocol.report import ProbeTarget

LONG_SECONDS = 120.0
"""After which a node takes any partner rather than wait for a fast one."""
HUBS = 8
"""The fastest nodes, against whom the others are measured."""
HEARD_SECONDS = 15.0
"""A peer silent for longer is not probed: its profiler reports every 5 s."""
SATURATED = 0.8
"""Of what its partners offer: a node that needs no more than this part of it shows its own link."""
OF_USE = 0.1
"""A helper adds at least this part to what the others offer, or it is left alone."""
TELLING = 0.65
"""The part of a node's rate that its partners must offer; less would show them, not the node."""
TELLING_OF_FALL = 0.45
"""The same where it is asked whether the rate has fallen, by more than half: a small burst with one
partner tells that soon, also where a link is choked and a large one would take ten seconds."""
PLENTY = 2.0
"""How many times a node's rate its partners are to offer together where it is asked how fast its link is."""
UNKNOWN_DEADLINE = 15.0
FALLS = (Need.ALARM, Need.CHECK)
"""Needs to know whether a rate has fallen, not how high it is."""
BURSTS = {Need.ALARM: 1, Need.FIRST: 1, Need.STRETCH: 1, Need.REGULAR: 3, Need.CHECK: 1}


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


@dataclass(frozen=True)
class ProbesView:
    """All members at one moment, with what every decision needs of them."""

    nodes: Mapping[str, ProbedNode]
    hubs: tuple[ProbedNode, ...]
    """Against whom nodes are measured, fastest first."""
    urgent: frozenset[str]
    """Those for whom regular probes stand back."""


def view_of(nodes: Mapping[str, ProbedNode], now: float) -> ProbesView:
    heard = sorted((node for node in nodes.values() if _heard(node, now)), key=_slowness)
    # Without any rate yet there is no fast one to prefer, and a few hubs would only keep newcomers waiting.
    held = [node for node in heard[HUBS + 1 :] if node.held_by]
    hubs = tuple([*heard[: HUBS + 1], *held] if any(node.rate for node in heard) else heard)
    urgent = frozenset(node.worker for node in heard if is_urgent(node, hubs, now))
    return ProbesView(nodes, hubs, urgent)


def choose(worker: str, view: ProbesView, busy: Set[str], now: float) -> Probe | None:
    """The probe that `worker` shall make now, or None. `busy`: the ends of all probes under way."""
    node = view.nodes[worker]
    if worker in busy:
        return None
    probes = (_probe_for(node, need, view, busy, now) for need in needs_of(node, view.hubs, now))
    return next((probe for probe in probes if probe), None)


def _probe_for(node: ProbedNode, need: Need, view: ProbesView, busy: Set[str], now: float) -> Probe | None:
    if need > Need.FIRST and view.urgent - busy - {node.worker}:
        return None
    others = [hub for hub in view.hubs if hub.worker != node.worker]
    free = [hub for hub in others if hub.worker not in busy and hub.credit >= LEAST_CREDIT[need]]
    if need is Need.REGULAR and (held := [hub for hub in free if node.worker in hub.held_by]):
        # As a partner that shows so little it would not be taken again, and would be held down for good.
        return _probe(node, held[:1], need)
    patient = need is Need.REGULAR and age_of(node, now) < LONG_SECONDS
    if patient and any(_ample(hub, node) for hub in others):
        free = [hub for hub in free if _ample(hub, node)]
    peers = _peers(node, free, need)
    if not peers or (need is Need.STRETCH and not may_show_more(node, peers)):
        return None
    telling = TELLING_OF_FALL if need in FALLS else TELLING if patient else 0.0
    if not _tells(node, peers, others, telling):
        return None
    return _probe(node, peers, need)


def _probe(node: ProbedNode, peers: Sequence[ProbedNode], need: Need) -> Probe:
    names = tuple(peer.worker for peer in peers)
    return Probe(node.worker, names, need, BURSTS[need], _deadline(node.rate, BURSTS[need]))


def _heard(node: ProbedNode, now: float) -> bool:
    return now - node.heard <= HEARD_SECONDS


def _slowness(node: ProbedNode) -> tuple[float, str]:
    return -(node.rate or 0.0), node.worker


def _ample(hub: ProbedNode, node: ProbedNode) -> bool:
    """Whether the hub is so much faster that a probe with it shows the node's own link."""
    return (hub.rate or 0.0) * SATURATED >= (node.rate or 0.0)


def _tells(node: ProbedNode, peers: Sequence[ProbedNode], others: Sequence[ProbedNode], part: float) -> bool:
    """Whether these peers offer this part of the node's rate, as far as there is so much."""
    return together(peers) >= part * min(node.rate or 0.0, together(others[: 1 + HELPERS]))


def _peers(node: ProbedNode, free: Sequence[ProbedNode], need: Need) -> list[ProbedNode]:
    """The fastest free partner; where it may be the limit, more, until they offer enough for this need."""
    wanted = [hub for hub in free if hub.worker not in node.avoid | node.doubted] or list(free)
    if node.alarm is not None:
        # Two that are both in doubt cannot tell whose link it is.
        wanted.sort(key=lambda hub: hub.alarm is not None)
    elif node.shown is not None:
        wanted.sort(key=lambda hub: hub.worker != node.shown_with)
    elif other := [hub for hub in wanted if hub.worker != node.partner and node.rate and _ample(hub, node)]:
        # By turns: what one partner alone shows may be that partner's doing.
        wanted.sort(key=lambda hub: hub is not other[0])
    chosen = wanted[:1]
    # Who is to be stretched has shown too little: one ample for that may be its limit again.
    if not chosen or node.rate is None or (need is not Need.STRETCH and _ample(chosen[0], node)):
        return chosen
    offered = chosen[0].rate or 0.0
    enough = TELLING_OF_FALL * node.rate if need in FALLS else PLENTY * max(node.rate, node.shown or 0.0)
    # Those whose word is in doubt help another: without them the rest may have too little to tell anything.
    doubted = [h for h in free if h.worker in node.doubted and h not in wanted] if need is Need.ALARM else []
    for helper in [*wanted[1:], *doubted]:
        if offered >= enough or len(chosen) > HELPERS or (helper.rate or 0.0) < OF_USE * offered:
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


def target_of(worker: str, held: StampedReport, rate: float | None) -> ProbeTarget:
    """For a probe that is ordered: where its other end is, and how fast that is thought to be."""
    return ProbeTarget(
        peer=worker, address=held.head.address, port=held.head.probe_port, bits_per_second=rate
    )
