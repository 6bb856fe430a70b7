"""How many nodes may get a worker at once: all, or so many that the job doubles."""

from edgetrain_operator.core.hindrances import PATIENCE_SECONDS
from edgetrain_operator.core.model import Observed
from edgetrain_protocol.job import Growth

WAVE_SECONDS = PATIENCE_SECONDS + 60.0
"""A worker that is no member by then holds up no others: its node may be slow, or never get it going. What is
wrong with all of the first has ended the job before that."""


def room(seen: Observed) -> int:
    """For new workers, besides those that are on their way."""
    spec = seen.job.spec
    if spec.elastic.growth is Growth.AT_ONCE:
        return spec.nodes.max
    members = {member.node for member in seen.stored.members}
    pods = (pod for pod in seen.pods if pod.living and pod.node not in members)
    coming = {pod.node for pod in pods if seen.now - pod.created < WAVE_SECONDS}
    return max(max(spec.nodes.min, 2 * len(members)) - len(members) - len(coming), 0)


def most(seen: Observed, held: int) -> int:
    """Nodes that it can do with for now; `held`: those that it has in any case."""
    workers = {pod.node for pod in seen.pods if pod.living} | {member.node for member in seen.stored.members}
    return min(seen.job.spec.nodes.max, max(held, len(workers) + room(seen)))
