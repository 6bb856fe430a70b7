"""status.nodes: one line for each node of the job, the worst first."""

from dataclasses import dataclass

from edgetrain_operator.core.naming import worker_name
from edgetrain_operator.core.observe import time_text
from edgetrain_operator.core.scene import Scene
from edgetrain_operator.core.troubles import Trouble, node_trouble
from edgetrain_protocol.names import SITE_LABEL
from edgetrain_protocol.plan import Plan
from edgetrain_protocol.report import TrainerState
from edgetrain_protocol.status import NodeState, NodeStatus

NODES_MAX = 100
MESSAGE_MAX = 400

_OF_REPORT = {
    TrainerState.STARTING: NodeState.STARTING,
    TrainerState.WAITING: NodeState.JOINING,
    TrainerState.JOINING: NodeState.JOINING,
    TrainerState.TRAINING: NodeState.TRAINING,
    TrainerState.PAUSED: NodeState.PAUSED,
    TrainerState.HUNG: NodeState.HUNG,
    TrainerState.FINISHED: NodeState.FINISHED,
    TrainerState.FAILED: NodeState.FAILED,
}
_WORST_FIRST = (
    NodeState.FAILED,
    NodeState.LOST,
    NodeState.HUNG,
    NodeState.UNSUPPORTED,
    NodeState.PAUSED,
    NodeState.PENDING,
    NodeState.STARTING,
    NodeState.JOINING,
    NodeState.TRAINING,
    NodeState.FINISHED,
)
_STOPS = frozenset({"ImagePullFailed", "NoImageForArchitecture", "CommandNotFound"})
"""Troubles that keep a worker from starting at all."""


@dataclass(frozen=True)
class _State:
    state: NodeState
    message: str = ""


def node_lines(scene: Scene, plan: Plan | None) -> list[NodeStatus]:
    """All nodes of the job, worst first; the caller cuts."""
    before = {line.worker: line for line in scene.seen.job.status.nodes}
    members = {m.worker for group in plan.groups for m in group.members} if plan else set()
    leaders = {group.aggregator for group in plan.groups} if plan else set()
    lines = [
        _line(
            scene,
            worker,
            _worker_state(scene, worker, worker in members, before.get(worker)),
            worker in leaders,
        )
        for worker, record in scene.records.items()
        if scene.seen.pods_on(record.node) or worker in members or record.node in scene.placement.wanted
    ]
    lines += [
        NodeStatus(
            node=node,
            worker=worker_name(node),
            state=NodeState.UNSUPPORTED,
            message=scene.placement.refused[node],
        )
        for node in scene.placement.unsupported
    ]
    return sorted(lines, key=lambda line: (_WORST_FIRST.index(line.state), line.node))


def _worker_state(scene: Scene, worker: str, member: bool, before: NodeStatus | None) -> _State:
    record, hearing = scene.records[worker], scene.hearing
    pod, trouble = scene.pods.get(record.pod_uid), node_trouble(scene, worker)
    part = hearing.training(worker)
    if part is not None and hearing.heard(worker):
        return _State(_OF_REPORT[part.state], trouble.message if trouble else "")
    if pod is not None and pod.phase == "Succeeded":
        return _State(NodeState.FINISHED)
    if pod is not None and pod.phase == "Failed":
        return _State(NodeState.FAILED, "its pod failed; the next one is made after a back-off")
    if record.silent_since and (part is not None or member):
        return _dark(record.silent_since, member)
    if member and before is not None:
        return _State(before.state, before.message)  # Just after a take-over: nothing is known that is newer.
    return _without_reports(pod is not None and pod.phase == "Running", trouble)


def _dark(since: float, member: bool) -> _State:
    text = f"not heard since {time_text(since)}"
    return _State(NodeState.PAUSED if member else NodeState.LOST, text)


def _without_reports(running: bool, trouble: Trouble | None) -> _State:
    if trouble is not None and trouble.reason in _STOPS:
        return _State(NodeState.FAILED, trouble.message)
    state = NodeState.STARTING if running else NodeState.PENDING
    return _State(state, trouble.message if trouble else "")


def _line(scene: Scene, worker: str, found: _State, aggregator: bool) -> NodeStatus:
    part, rate = scene.hearing.training(worker), scene.seen.rates.get(worker)
    node = scene.records[worker].node
    view = scene.seen.nodes.get(node)
    trains = found.state is NodeState.TRAINING and part is not None
    return NodeStatus(
        node=node,
        worker=worker,
        state=found.state,
        site=view.labels.get(SITE_LABEL, "") if view else "",
        steps_per_second=round(part.steps_per_second, 3) if part and trains else 0.0,
        samples_per_second=round(part.own_samples_per_second, 1) if part and trains else 0.0,
        bandwidth_bits_per_second=round(rate.bits_per_second, -3) if rate else None,
        aggregator=aggregator,
        message=found.message[:MESSAGE_MAX],
    )
