"""Why a node should be probed now: pure decisions over what was measured of it and of the fastest."""

from collections.abc import Sequence
from dataclasses import dataclass
from enum import IntEnum

from edgetrain_operator.fleet.link_time import CHECK_SHARE, burst_bytes, link_seconds

EVERY_SECONDS = 20.0
"""Between two regular probes of a node, however fast its link."""
CHECK_SECONDS = 10.0
"""Between two checks of a node, at least: a small burst shows a link that has fallen by more than half. The
exchanges need not show it, where another link is the group's slowest."""
RETRY_SECONDS = 5.0
"""Before another try at a node not well known yet."""
YIELD_SECONDS = 30.0
"""How long regular probes stand back for a newcomer's first, or for one that confirms an alarm."""
HELPERS = 3
"""At most, beside the partner of a joint probe."""
STRETCH = 1.25
"""How much more the best partners must offer to be worth another probe."""
LIMITED = 0.6
"""A node that measured more than this part of what its partners offered may have been limited by them: when
a job begins, and its pods compete for processors, measures that fall so short are no rarity."""
SURE = 3
"""Measures by partners who could have shown more, after which a node is taken for what it shows. A node shows
too little by chance, too much hardly: with fewer, the first election was a matter of luck."""
HOPELESS = 12.0
"""Who shows so many times less than the fastest will not lead: its link's time is too dear to be sure."""
ALARM_DEBT = 0.1
"""Seconds of link time that an alarm may owe: one group's changes raise several, one after another."""


class Need(IntEnum):
    """Why a node should be probed; the smaller goes first."""

    ALARM = 0
    FIRST = 1
    STRETCH = 2
    """It may have more than it has shown, and there are partners who can tell."""
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


@dataclass(frozen=True)
class ProbedNode:
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
    """The most that the partners of a probe of it had; None where theirs was unknown."""
    borne_out: int = 0
    """Measures that bore its rate out though their partners could have shown more."""
    shown: float | None = None
    """A rate well above its own, which one measure showed."""
    shown_with: str = ""
    """The partner of that measure."""
    credit: float = 0.0
    """Seconds of link time that regular probes may still take; below 0 until the last one is paid for."""
    reserve: float = 0.0
    """The same for alarms."""
    alarm: float | None = None
    """Since when a measure, or its exchanges, contradict its rate."""
    avoid: frozenset[str] = frozenset()
    """Peers that a probe failed with."""
    doubted: frozenset[str] = frozenset()
    """Partners whose word needs a second opinion."""
    partner: str = ""
    """Of its last measure."""
    held_by: frozenset[str] = frozenset()
    """Whose measures with it hold its rate down."""


def needs_of(node: ProbedNode, hubs: Sequence[ProbedNode], now: float) -> list[Need]:
    """Why a node should be probed now, and may be; the most urgent first."""
    wishes = [_wish(node, hubs, age_of(node, now)), Need.CHECK if _check_due(node, now) else Need.NONE]
    needs = [need for need in wishes if _affords(node, need)]
    if node.alarm is not None and node.rate is not None and node.reserve >= -ALARM_DEBT:
        return [Need.ALARM, *needs]
    return needs


def is_urgent(node: ProbedNode, hubs: Sequence[ProbedNode], now: float) -> bool:
    """Whether the others' regular probes should stand back for this node's."""
    since = {Need.ALARM: node.alarm, Need.FIRST: node.seen}
    waits = (since.get(need) for need in needs_of(node, hubs, now))
    return any(begun is not None and now - begun < YIELD_SECONDS for begun in waits)


def may_show_more(node: ProbedNode, peers: Sequence[ProbedNode]) -> bool:
    """Whether a probe with these peers may show more of the node's link than is known."""
    return _stretches(node, peers) or _unsure(node, peers)


def limited(rate: float, offered: float) -> bool:
    """Whether partners who offered this may have been the limit of the rate that was measured with them."""
    return rate > LIMITED * offered


def outgrown(rate: float, offered: float, offer: float) -> bool:
    """Whether they may have been the limit, and `offer` is clearly more than they had."""
    return limited(rate, offered) and offer > STRETCH * offered


def can_show(offered: float, rate: float) -> bool:
    """Whether partners who offer this can show that a node has a rate, or that it has not."""
    return offered * STRETCH > rate


def age_of(node: ProbedNode, now: float) -> float:
    """Seconds since it was probed last."""
    return _passed(node.probed, now)


def _passed(since: float | None, now: float) -> float:
    return float("inf") if since is None else now - since


def together(nodes: Sequence[ProbedNode]) -> float:
    """The sum of their rates, bits per second."""
    return sum(node.rate or 0.0 for node in nodes)


def _affords(node: ProbedNode, need: Need) -> bool:
    return need is not Need.NONE and node.credit >= LEAST_OWN_CREDIT[need]


def _wish(node: ProbedNode, hubs: Sequence[ProbedNode], age: float) -> Need:
    if node.rate is None:
        return Need.FIRST if age >= RETRY_SECONDS else Need.NONE
    if node.held_by:
        # Its own word shows no more: its link's time is for theirs.
        return Need.NONE
    best = [hub for hub in hubs if hub is not node][: 1 + HELPERS]
    if age >= RETRY_SECONDS and may_show_more(node, best):
        return Need.STRETCH
    return Need.REGULAR if age >= EVERY_SECONDS else Need.NONE


def _check_due(node: ProbedNode, now: float) -> bool:
    if node.rate is None:
        return False
    cost = link_seconds(node.rate, burst_bytes(node.rate))
    age = min(age_of(node, now), _passed(node.checked, now))
    return age >= max(CHECK_SECONDS, cost / CHECK_SHARE)


def _stretches(node: ProbedNode, peers: Sequence[ProbedNode]) -> bool:
    """Whether these peers offer clearly more than those of any probe so far, who may have been its limit."""
    if node.rate is None or node.offered is None:
        return False
    return outgrown(node.rate, node.offered, together(peers))


def _unsure(node: ProbedNode, peers: Sequence[ProbedNode]) -> bool:
    """Whether these peers can tell if the node has more than the few measures of it show."""
    if node.rate is None or node.credit < LEAST_CREDIT[Need.STRETCH]:
        return False
    if node.shown is not None:
        return can_show(together(peers), node.shown)
    if node.borne_out >= SURE or any((peer.rate or 0.0) > HOPELESS * node.rate for peer in peers):
        return False
    return not limited(node.rate, together(peers))
