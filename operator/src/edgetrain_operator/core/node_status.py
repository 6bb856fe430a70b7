"""status.nodes: one line for each node of the job, the worst first."""

from dataclasses import dataclass

from edgetrain_operator.core.context import DecisionContext
from edgetrain_operator.core.job_plan import JobPlan
from edgetrain_operator.core.lifecycle import End, Verdict
from edgetrain_operator.core.model import Trouble
from edgetrain_operator.core.naming import worker_name
from edgetrain_operator.core.observe import time_text
from edgetrain_operator.core.stored import WorkerRecord
from edgetrain_operator.core.troubles import UNHEARD, node_trouble
from edgetrain_operator.core.words import clipped
from edgetrain_protocol.names import SITE_LABEL
from edgetrain_protocol.report import TrainerState
from edgetrain_protocol.status import NodeState, NodeStatus

NODES_MAX = 100
MESSAGE_MAX = 800

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
    NodeState.STOPPED,
    NodeState.FINISHED,
)
_STOPS = frozenset({"ImagePullFailed", "NoImageForArchitecture", "CommandNotFound"})
"""Troubles that keep a worker from starting at all."""
_WAITING = (TrainerState.PAUSED, TrainerState.STARTING)
"""Of which it says what for: in a start, while something is fetched."""
_FINAL = frozenset({NodeState.FINISHED, NodeState.FAILED, NodeState.LOST})


@dataclass(frozen=True)
class _State:
    state: NodeState
    message: str = ""


def node_lines(scene: DecisionContext, plan: JobPlan | None, found: Verdict | None) -> list[NodeStatus]:
    """All nodes of the job, worst first; the caller cuts. `found`: the job does not run."""
    before = {line.worker: line for line in scene.seen.job.status.nodes}
    members = {m.worker for m in plan.members} if plan else set()
    leaders = plan.aggregators if plan else frozenset()
    lines = [
        _line(
            scene,
            worker,
            _worker_state(scene, worker, worker in members, before.get(worker), found),
            worker in leaders,
        )
        for worker, record in scene.records.items()
        if scene.seen.pods_on(record.node)
        or worker in members
        or record.node in scene.placement.wanted
        or record.left_out
        or (found and worker in before)
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


def _worker_state(
    scene: DecisionContext, worker: str, member: bool, before: NodeStatus | None, found: Verdict | None
) -> _State:
    record, reports = scene.records[worker], scene.reports
    pod, trouble = scene.pods.get(record.pod_uid), node_trouble(scene, worker)
    message = trouble.message if trouble else ""
    if record.left_out:
        return _State(NodeState.FAILED, message)
    part = reports.training(worker)
    if part is not None and reports.heard(worker):
        waits = scene.with_node_names(part.waits) if part.state in _WAITING else ""
        return _State(_OF_REPORT[part.state], message or waits)
    if found is not None:
        return _as_it_ended(scene, record, before, trouble, found)
    if pod is not None and pod.phase == "Succeeded":
        return _State(NodeState.FINISHED)
    if pod is not None and pod.phase == "Failed":
        return _State(NodeState.FAILED, _and_next(record, message or "its pod failed"))
    if pod is not None and scene.down(pod):
        return _State(NodeState.FAILED, message or "its trainer has ended and waits to be started again")
    # Who falls silent just now is noted in its record by the plan that follows.
    since = record.silent_since or (scene.now - reports.silence(worker) if part is not None else 0.0)
    if since and (part is not None or member):
        return _dark(since, member, trouble)
    if member and before is not None:
        return _State(before.state, before.message)  # Just after a take-over: nothing is known that is newer.
    if pod is None and record.retry_at:
        return _State(NodeState.FAILED if trouble else NodeState.PENDING, _and_next(record, message))
    return _without_reports(pod is not None and pod.phase == "Running", trouble)


def _as_it_ended(
    scene: DecisionContext,
    record: WorkerRecord,
    before: NodeStatus | None,
    trouble: Trouble | None,
    found: Verdict,
) -> _State:
    """Of a job that is over or suspended, whatever has become of the pod since."""
    if found.end is End.COMPLETE and record.sighted.ended_well:
        return _State(NodeState.FINISHED)
    if trouble is not None and trouble.reason not in UNHEARD:
        return _State(NodeState.FAILED, trouble.message)
    if record.silent_since or trouble is not None:
        return _dark(record.silent_since, False, trouble)
    if before is not None and before.state in _FINAL:
        return _State(before.state, before.message)
    return _State(NodeState.STOPPED, f"ended with the job: {found.reason}")


def _and_next(record: WorkerRecord, text: str) -> str:
    when = f"the next pod is made at {time_text(record.retry_at)}" if record.retry_at else ""
    return "; ".join(words for words in (text, when) if words)


def _dark(since: float, member: bool, trouble: Trouble | None) -> _State:
    text = trouble.message if trouble else f"not heard since {time_text(since)}"
    return _State(NodeState.PAUSED if member else NodeState.LOST, text)


def _without_reports(running: bool, trouble: Trouble | None) -> _State:
    if trouble is None:
        return _State(NodeState.STARTING if running else NodeState.PENDING)
    if trouble.reason in UNHEARD:
        return _State(NodeState.LOST, trouble.message)
    if trouble.reason in _STOPS:
        return _State(NodeState.FAILED, trouble.message)
    return _State(NodeState.STARTING if running else NodeState.PENDING, trouble.message)


def _line(scene: DecisionContext, worker: str, found: _State, aggregator: bool) -> NodeStatus:
    part, rate = scene.reports.training(worker), scene.seen.rates.get(worker)
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
        local_samples=(part.local_samples if part else 0) or None,
        bandwidth_bits_per_second=round(rate.bits_per_second, -3) if rate else None,
        aggregator=aggregator,
        message=clipped(found.message, MESSAGE_MAX),
    )
