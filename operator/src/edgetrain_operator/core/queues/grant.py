"""Which nodes a job of a queue may have, and what people are told of the rest."""

from collections import Counter
from collections.abc import Collection, Mapping
from dataclasses import dataclass, field, replace

from edgetrain_operator.core.queues.claim import Claim
from edgetrain_operator.core.queues.sharing import Sharing

HOLDERS_NAMED = 5
NODES_NAMED = 10
FULL = "the job has as many as it may have now"
UNSEEN = "this operator has just begun, and looks at the other jobs of the queue first"


@dataclass(frozen=True)
class Grant:
    queue: str
    nodes: frozenset[str] = frozenset()
    """That the job has, whether it has a worker there yet or not."""
    usable: int = 0
    """How many nodes could have a worker of it, whoever has them."""
    holders: Mapping[str, str] = field(default_factory=dict, hash=False)
    """Node -> the job that has it."""
    busy: Mapping[str, str] = field(default_factory=dict, hash=False)
    """Node -> another job, whose pod has not ended there."""
    otherwise: str = "the job is not granted it"
    """Why it has not what nobody has."""
    gain: float | None = None
    """What the job's last worker adds, as in its claim."""
    waits: str = ""
    """Why the job has fewer than its min; empty where it does not wait for others."""
    gained: tuple[str, ...] = ()
    """Nodes that it has been told nothing of."""
    lost: Mapping[str, str] = field(default_factory=dict, hash=False)
    """Node that it was told it has -> why it has it no more."""

    def why_not(self, node: str) -> str:
        """Why this node gets no worker of the job; empty where it may."""
        if node not in self.nodes:
            return self.why_gone(node)
        other = self.busy.get(node)
        return f"queue {self.queue}: the worker of {other} ends there first" if other else ""

    def why_gone(self, node: str) -> str:
        """Why a worker there ends; empty where it does not."""
        if node in self.nodes:
            return ""
        holder = self.holders.get(node)
        why = self.lost.get(node) or (f"{holder} has it" if holder else self.otherwise)
        return f"queue {self.queue}: {why}"


def grant_for(claim: Claim, claims: Collection[Claim], shared: Sharing, queue: str, settled: bool) -> Grant:
    """What one job may have.

    Args:
        claims: of all jobs of the queue.
        settled: whether all jobs of the queue have claimed theirs.
    """
    nodes = frozenset(shared.held[claim.job])
    return Grant(
        queue=queue,
        nodes=nodes,
        otherwise=FULL if len(nodes) >= claim.most else Grant.otherwise,
        usable=len(claim.able),
        holders={node: job for job, held in shared.held.items() for node in held},
        busy={node: c.job for c in claims if c.job != claim.job for node in c.occupied},
        gain=claim.gain,
        waits=_waits(claim, claims, shared, queue, settled),
    )


def with_news(grant: Grant, told: frozenset[str], why: Mapping[str, str]) -> Grant:
    """The same, with what is new in it.

    Args:
        told: the nodes that the job was told it has.
        why: node -> why it was taken from who had it last.
    """
    lost = {node: why.get(node, "it cannot use it any more") for node in sorted(told - grant.nodes)}
    return replace(grant, gained=tuple(sorted(grant.nodes - told)), lost=lost)


def _waits(claim: Claim, claims: Collection[Claim], shared: Sharing, queue: str, settled: bool) -> str:
    """Where too few nodes could have a worker of it, others are not in its way."""
    lacks = len(shared.held[claim.job]) < claim.least
    if not lacks or claim.most < claim.least or len(claim.able) < claim.least:
        return ""
    if not settled:
        return f"queue {queue}: {UNSEEN}"
    reach = shared.within_reach.get(claim.job, 0)
    return (
        f"queue {queue}: {reach} of the {len(claim.able)} nodes that it could use can be had, and "
        f"spec.nodes.min is {claim.least}; {_holders(claim, claims, shared)}"
    )


def _holders(claim: Claim, claims: Collection[Claim], shared: Sharing) -> str:
    mine = claim.able - shared.held[claim.job].keys()
    count = Counter({job: len(mine & held.keys()) for job, held in shared.held.items()})
    least = {c.job: c.least for c in claims}
    found = [f"{job} has {n} (its min is {least[job]})" for job, n in count.most_common() if n]
    more = [f"{len(found) - HOLDERS_NAMED} more jobs"] if len(found) > HOLDERS_NAMED else []
    return ", ".join([*found[:HOLDERS_NAMED], *more]) or "no other job has any"


def named(nodes: Collection[str]) -> str:
    """For people."""
    some = sorted(nodes)
    more = f" and {len(some) - NODES_NAMED} more" if len(some) > NODES_NAMED else ""
    return ", ".join(some[:NODES_NAMED]) + more
