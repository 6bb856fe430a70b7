"""What happens to the nodes in a demo, and when. Pure: an act looks at the job's status only.

Each act waits for the one before it to have been overcome, so that the story holds on a slow machine
and on a fast one; percentages keep all of them within the training.
"""

from collections.abc import Callable
from dataclasses import dataclass

from edgetrain_protocol.status import JobStatus, NodeState

SPARE = "edge-6"


@dataclass(frozen=True)
class Act:
    """One event: when it may begin, on which node, and how one sees that training went on through it."""

    name: str
    due: Callable[[JobStatus], bool]
    target: Callable[[JobStatus], str]
    overcome: Callable[[JobStatus, str, JobStatus], bool]
    """Of (status, the node, the status when the act began)."""
    says: str
    said_after: str


def training(status: JobStatus) -> set[str]:
    """Names of the nodes that train."""
    return {node.node for node in status.nodes if node.state is NodeState.TRAINING}


def aggregator(status: JobStatus) -> str:
    """Node of the aggregator; empty while none is elected."""
    return next((node.node for node in status.nodes if node.aggregator), "")


def slowest_follower(status: JobStatus) -> str:
    """The training node with the least bandwidth, never the aggregator."""
    followers = [n for n in status.nodes if n.state is NodeState.TRAINING and not n.aggregator]
    return min(followers, key=lambda n: (n.bandwidth_bits_per_second or 0.0, n.node)).node


def whole(status: JobStatus) -> bool:
    """Everybody trains, an aggregator is elected on measurements, and some steps are done."""
    measured = all(node.bandwidth_bits_per_second for node in status.nodes)
    return len(training(status)) >= max(5, status.workers.desired) and bool(aggregator(status)) and measured


POWER_CUT = Act(
    name="power cut",
    due=lambda status: whole(status) and status.progress.percent >= 8,
    target=slowest_follower,
    overcome=lambda status, node, before: (
        node not in training(status) and status.progress.step >= before.progress.step + 5
    ),
    says="cut the power of {node}: nobody is told",
    said_after="{node} is out, training went on without it",
)
JOIN = Act(
    name="join",
    due=lambda status: status.progress.percent >= 12,
    target=lambda status: SPARE,
    overcome=lambda status, node, before: node in training(status),
    says="add a new node, {node}",
    said_after="{node} has the model and trains along",
)
CHOKE = Act(
    name="choke",
    due=lambda status: bool(aggregator(status)) and status.progress.percent >= 16,
    target=aggregator,
    overcome=lambda status, node, before: aggregator(status) not in ("", node),
    says="choke the link of the aggregator, {node}",
    said_after="the aggregator has moved away from {node}",
)
ACTS = (POWER_CUT, JOIN, CHOKE)
