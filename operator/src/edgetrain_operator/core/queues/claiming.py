"""What a job claims of its queue, from what was observed of it."""

from collections.abc import Mapping

from edgetrain_operator.core.barred import why_barred
from edgetrain_operator.core.failure_limits import left_out
from edgetrain_operator.core.growth import most
from edgetrain_operator.core.kueue.hold import hold, within_quota
from edgetrain_operator.core.lifecycle import is_over
from edgetrain_operator.core.model import Observed
from edgetrain_operator.core.naming import worker_name
from edgetrain_operator.core.placement import matches, refusal
from edgetrain_operator.core.queues.claim import Claim
from edgetrain_operator.core.queues.gain import gain


def claim_of(seen: Observed, name: str, before: Claim | None) -> Claim:
    """The job's claim. Nodes that it was granted stay its own while it has a pod there, or could have one.

    Args:
        name: by which other jobs of the queue are told of it.
        before: what it came to last; None where nothing is known, as after a take-over: it holds nodes where
            it has a living pod then, since that was made.
    """
    seen, held_back = within_quota(seen), hold(seen) is not None
    job, spec = seen.job, seen.job.spec
    occupied = frozenset(pod.node for pod in seen.pods if not pod.ended)
    if spec.suspend or held_back or is_over(job.status):
        return Claim(name, most=0, occupied=occupied)
    without = _without(seen)
    usable = frozenset() if why_barred(seen) else _usable(seen, without)
    kept = frozenset(node for node in occupied - without if _asked_for(seen, node))
    living = {pod.node: pod.created for pod in seen.pods if pod.living}
    granted = living if before is None else before.held
    held = {node: since for node, since in granted.items() if node in usable or node in kept}
    return Claim(
        name,
        priority=spec.scheduling.priority,
        created=job.created,
        least=spec.nodes.min,
        most=most(seen, len(held)),
        able=usable | held.keys(),
        held=held,
        gives=_gives(seen, held),
        dark=frozenset(n for n in held if (view := seen.nodes.get(n)) is None or not view.ready),
        occupied=occupied,
        gain=gain(seen, before.gain if before else None),
    )


def _usable(seen: Observed, without: frozenset[str]) -> frozenset[str]:
    spec = seen.job.spec
    asked = (n for n in seen.nodes.values() if n.name not in without and matches(n, spec))
    return frozenset(node.name for node in asked if not refusal(node, spec, seen.now))


def _without(seen: Observed) -> frozenset[str]:
    """Nodes that it has given up: the program failed there too often, or they are dark for too long."""
    grace = seen.job.spec.elastic.offline_grace_seconds
    silent = (r for r in seen.stored.workers.values() if r.silent_since)
    return left_out(seen.stored.workers) | {r.node for r in silent if seen.now - r.silent_since > grace}


def _asked_for(seen: Observed, node: str) -> bool:
    """A node's object may come and go while its pods train."""
    view = seen.nodes.get(node)
    return view is None or matches(view, seen.job.spec)


def _gives(seen: Observed, held: Mapping[str, float]) -> tuple[str, ...]:
    """Nodes without a member first, that of an aggregator last."""
    plan = seen.stored.plan
    members = {member.worker for member in plan.members} if plan else set()
    leaders = plan.aggregators if plan else frozenset()

    def cost(node: str) -> tuple[bool, bool]:
        return worker_name(node) in members, worker_name(node) in leaders

    return tuple(sorted(sorted(held, reverse=True), key=cost))
