"""Which nodes have a worker: who keeps one, who gets one, who loses one, and why not.

Only losing the job's match ends a worker. A node that is cordoned, dark or tainted keeps the one it
has: it trains on.
"""

import re
from collections.abc import Collection, Mapping, Sequence
from dataclasses import dataclass, field, replace
from typing import Any

from edgetrain_operator.core.model import NodeView, Trouble
from edgetrain_operator.core.overrides import overridden
from edgetrain_operator.core.queues.grant import Grant
from edgetrain_operator.core.selectors import first_not_tolerated, selects
from edgetrain_protocol.job import JobSpec
from edgetrain_protocol.names import EDGE_NODE_LABEL

OLDEST_KUBELET = (1, 29)
"""The first with native sidecars on by default."""
LEFT_OUT = "left out: its program failed too often"
LATER = "elastic.growth is doubling: once those before it train"
NODES_MAX = 1000
"""That a job may ask for."""
DARK_NODE_TAINTS = ("node.kubernetes.io/not-ready", "node.kubernetes.io/unreachable")


@dataclass(frozen=True)
class Placement:
    keep: frozenset[str] = frozenset()
    add: tuple[str, ...] = ()
    remove: Mapping[str, str] = field(default_factory=dict)
    """Node -> why its worker ends."""
    refused: Mapping[str, str] = field(default_factory=dict)
    """Matching node -> why it gets none."""
    unsupported: frozenset[str] = frozenset()
    """Those of `refused` whose kubelet is too old."""
    look_again_at: float | None = None
    """When a join delay ends."""
    barred: Trouble | None = None
    """Why no node gets a worker that has none; None where they may."""

    @property
    def wanted(self) -> frozenset[str]:
        return self.keep | frozenset(self.add)

    def bar(self, why: Trouble) -> "Placement":
        """The same, but that no node gets a worker that has none."""
        return replace(self, add=(), barred=why)


def matches(node: NodeView, spec: JobSpec) -> bool:
    """Whether the job asks for this node."""
    chosen = EDGE_NODE_LABEL in node.labels and selects(spec.nodes.selector, node.labels)
    return chosen and node.name not in spec.nodes.exclude


def place(
    nodes: Mapping[str, NodeView],
    spec: JobSpec,
    holders: Collection[str],
    senior: Collection[str],
    now: float,
    left_out: Collection[str] = (),
    grant: Grant | None = None,
    at_once: int = NODES_MAX,
    no_more: str = "",
) -> Placement:
    """Decide over all nodes at once.

    Args:
        holders: nodes that have a living pod.
        senior: holders that are members of the plan: of too many, they stay.
        left_out: nodes on which the program failed too often.
        grant: what the job's queue leaves to it, where it is in one.
        at_once: so many nodes may get a worker now.
        no_more: why there are no more than nodes.max, where it is not the job that says so.
    """
    no_more = no_more or f"spec.nodes.max is {spec.nodes.max}"
    remove = {name: why for name in sorted(holders) if (why := _why_end(nodes.get(name), name, spec))}
    remove |= dict.fromkeys(sorted(set(left_out) & set(holders) - set(remove)), LEFT_OUT)
    if grant is not None:
        remove = {n: why for n in sorted(holders) if (why := grant.why_gone(n))} | remove
    staying = sorted((n for n in holders if n not in remove), key=lambda n: (n not in senior, n))
    keep, surplus = staying[: spec.nodes.max], staying[spec.nodes.max :]
    remove |= dict.fromkeys(surplus, no_more)
    free = [
        n for n in sorted(nodes.values(), key=lambda n: n.name) if n.name not in holders and matches(n, spec)
    ]
    refused = {n.name: why for n in free if (why := refusal(n, spec, now))}
    refused |= {n.name: LEFT_OUT for n in free if n.name in left_out}
    if grant is not None:
        refused = {n.name: why for n in free if (why := grant.why_not(n.name))} | refused
    able = [n.name for n in free if n.name not in refused]
    room = max(spec.nodes.max - len(keep), 0)
    refused |= dict.fromkeys(able[room:], no_more)
    refused |= dict.fromkeys(able[:room][at_once:], LATER)
    return Placement(
        keep=frozenset(keep),
        add=tuple(able[:room][:at_once]),
        remove=remove,
        refused=refused,
        unsupported=frozenset(n.name for n in free if not can_run(n)),
        look_again_at=min(
            (d for n in free if (d := n.ready_since + spec.elastic.join_delay_seconds) > now), default=None
        ),
    )


def refusal(node: NodeView, spec: JobSpec, now: float) -> str:
    """Why this node gets no new pod; empty where it may."""
    if not can_run(node):
        return f"kubelet {node.kubelet} is older than 1.29 and has no native sidecars: update the node"
    if node.deleting:
        return "the node is being deleted"
    if not node.ready:
        return "the node is not Ready"
    if node.unschedulable:
        return "the node is cordoned"
    taint = first_not_tolerated(node.taints, tolerations(spec, node))
    if taint:
        return f"taint {taint.key}:{taint.effect} is not tolerated: add it to template.spec.tolerations"
    if now < node.ready_since + spec.elastic.join_delay_seconds:
        return f"Ready for less than elastic.joinDelaySeconds ({spec.elastic.join_delay_seconds})"
    return ""


def tolerations(spec: JobSpec, node: NodeView) -> list[dict[str, Any]]:
    """Of a worker's pod on this node."""
    return [*dark_tolerations(), *spec.template.spec.tolerations, *overridden(spec, node).tolerations]


def dark_tolerations() -> list[dict[str, Any]]:
    """Dark nodes are tolerated for NoExecute alone: without an effect, a pending pod would be bound to an
    unreachable node; with seconds, a pod on a dark node would be evicted while it trains on.
    """
    return [{"key": key, "operator": "Exists", "effect": "NoExecute"} for key in DARK_NODE_TAINTS]


def _why_end(node: NodeView | None, name: str, spec: JobSpec) -> str:
    if node is None:
        return ""  # Its Node object is gone: the pod garbage collector's business, and it may come back.
    if matches(node, spec):
        return ""
    return (
        "spec.nodes.exclude names it" if name in spec.nodes.exclude else "the node's labels no longer match"
    )


def can_run(node: NodeView) -> bool:
    """Whether its kubelet knows what a worker's pod asks for."""
    found = re.match(r"v?(\d+)\.(\d+)", node.kubelet)
    return found is None or _pair(found.groups()) >= OLDEST_KUBELET


def _pair(numbers: Sequence[str]) -> tuple[int, int]:
    return int(numbers[0]), int(numbers[1])
