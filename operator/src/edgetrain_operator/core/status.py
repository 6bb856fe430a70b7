"""The job's status: all of it, every time. Whether it is worth a write is decided in `status_due`."""

from collections.abc import Callable, Sequence

from edgetrain_operator.core import conditions
from edgetrain_operator.core.children import worker_selector
from edgetrain_operator.core.context import DecisionContext, GroupContext
from edgetrain_operator.core.groups import generation, stall
from edgetrain_operator.core.lifecycle import End, Verdict, failures
from edgetrain_operator.core.model import Event, Trouble
from edgetrain_operator.core.node_status import NODES_MAX, node_lines
from edgetrain_operator.core.observe import time_text
from edgetrain_operator.core.progress import group_status, job_progress
from edgetrain_operator.core.stored import AggregatorTenure, StoredPlan
from edgetrain_operator.core.troubles import (
    NODE_LEFT_OUT,
    deletion_troubles,
    job_troubles,
    node_trouble,
    others,
    training_troubles,
    without_worker,
)
from edgetrain_protocol.plan import Phase
from edgetrain_protocol.status import (
    ConditionType,
    ElectionStatus,
    JobProgress,
    JobStatus,
    NodeState,
    NodeStatus,
    PlanRef,
    WorkerCounts,
)

PROGRESS_SECONDS = 10.0
"""Between writes for progress and rates alone."""
GROUPS_MAX = 100
AGGREGATOR_MAX = 256
MISSING_MAX = 20
"""Nodes that are named in one message."""


def status(scene: DecisionContext, stored: StoredPlan, found: Verdict | None) -> JobStatus:
    """status as it should be."""
    job, before = scene.seen.job, scene.seen.job.status
    lines = node_lines(scene, stored.plan, found)
    said = _said(scene, stored, lines, found)
    over = found is not None and found.end is not End.SUSPENDED
    suspended = found is not None and found.end is End.SUSPENDED
    plan, office = stored.plan, _office(scene, stored)
    trains = any(line.state is NodeState.TRAINING for line in lines)
    groups = [group_status(group, stored, trains) for group in scene.groups] if plan else []
    return JobStatus(
        observed_generation=job.generation,
        phase=_word(found, said, lines),
        conditions=conditions.update(before.conditions, said, time_text(scene.now), job.generation),
        workers=_counts(scene, lines),
        selector=worker_selector(job.uid),
        aggregator=", ".join(group.aggregator for group in groups if group.aggregator)[:AGGREGATOR_MAX],
        plan=PlanRef(lineage=plan.lineage, revision=plan.revision) if plan else before.plan,
        progress=job_progress(groups) if plan else before.progress,
        groups=groups[:GROUPS_MAX],
        election=_election(office) if office else before.election,
        start_time=None if suspended else before.start_time or time_text(scene.now),
        completion_time=(before.completion_time or time_text(scene.now)) if over else None,
        failures=failures(scene),
        model=found.model if found else None,
        nodes=lines[:NODES_MAX],
    )


def status_due(before: JobStatus, after: JobStatus, since_last_write: float) -> bool:
    """Whether to write: at once where a state changed, now and then for progress."""
    if before == after:
        return False
    return since_last_write >= PROGRESS_SECONDS or _without_progress(before) != _without_progress(after)


def transitions(before: JobStatus, after: JobStatus) -> tuple[Event, ...]:
    """Events for conditions that changed, or that have a new reason while something is wrong."""
    old = {c.type: c for c in before.conditions}
    events = []
    for condition in after.conditions:
        was = old.get(condition.type)
        changed = was is None or (was.status, was.reason) != (condition.status, condition.reason)
        good, bad = _WORTH_TELLING.get(condition.type, (None, None))
        if changed and condition.status == good:
            events.append(Event("Normal", condition.reason, condition.message))
        if changed and condition.status == bad and condition.reason not in _NO_TROUBLE:
            events.append(Event("Warning", condition.reason, condition.message))
    return tuple(events)


_WORTH_TELLING: dict[str, tuple[str | None, str | None]] = {
    ConditionType.SUSPENDED: ("True", None),
    ConditionType.SCHEDULED: (None, "False"),
    ConditionType.TRAINING: ("True", None),
    ConditionType.DEGRADED: (None, "True"),
    ConditionType.STALLED: (None, "True"),
    ConditionType.COMPLETE: ("True", None),
    ConditionType.FAILED: (None, "True"),
}
_BAD = frozenset({NodeState.PAUSED, NodeState.LOST, NodeState.FAILED, NodeState.HUNG})
_NO_TROUBLE = frozenset({"Starting", "FewerWorkers", NODE_LEFT_OUT, *End})
"""Of these there is no Event, or there was one when it happened."""


def _said(
    scene: DecisionContext, stored: StoredPlan, lines: Sequence[NodeStatus], found: Verdict | None
) -> list[conditions.Said]:
    general = list(job_troubles(scene)) if found is None else []
    special = [
        t for line in lines if line.worker in scene.records and (t := node_trouble(scene, line.worker))
    ]
    special += deletion_troubles(scene)
    settled = [trouble for trouble in special if trouble.reason == NODE_LEFT_OUT]
    acute = [trouble for trouble in special if trouble.reason != NODE_LEFT_OUT]
    return [
        _of_end(ConditionType.SUSPENDED, End.SUSPENDED, found, "NotSuspended"),
        _scheduled(scene, general, found),
        _training(scene, stored, lines, [*general, *acute], found),
        _degraded(scene, lines, [*training_troubles(scene), *acute, *settled], found),
        _stalled(scene, found),
        _of_end(ConditionType.COMPLETE, End.COMPLETE, found, "NotComplete"),
        _of_end(ConditionType.FAILED, End.FAILED, found, "NotFailed"),
    ]


def _of_end(kind: ConditionType, end: End, found: Verdict | None, otherwise: str) -> conditions.Said:
    if found is not None and found.end is end:
        return kind, True, found.reason, found.message
    return kind, False, otherwise, ""


def _scheduled(scene: DecisionContext, troubles: Sequence[Trouble], found: Verdict | None) -> conditions.Said:
    if found is not None:
        return ConditionType.SCHEDULED, False, found.end, "no workers are wanted"
    left = without_worker(scene, refused=not troubles)
    hint = f"; {left}" if left else ""
    if troubles:
        text = troubles[0].message + others(troubles) + hint
        return ConditionType.SCHEDULED, False, troubles[0].reason, text
    wanted = scene.placement.wanted
    held = sum(any(pod.living for pod in scene.seen.pods_on(node)) for node in wanted)
    return (
        ConditionType.SCHEDULED,
        True,
        "NodesFound",
        f"{held} of {len(wanted)} nodes have a worker's pod{hint}",
    )


def _training(
    scene: DecisionContext,
    stored: StoredPlan,
    lines: Sequence[NodeStatus],
    troubles: Sequence[Trouble],
    found: Verdict | None,
) -> conditions.Said:
    kind = ConditionType.TRAINING
    if found is not None:
        return kind, False, found.reason, found.message
    if _all_dark(scene, stored):
        return kind, True, "Training", "as far as was last heard"
    if any(line.state is NodeState.TRAINING for line in lines):
        if waits := _of_groups(scene, stall.waiting):
            return kind, False, "Waiting", waits
        return kind, True, "Training", f"steps are being committed{_apart(stored)}"
    if troubles := _preventing(scene, troubles):
        return kind, False, troubles[0].reason, troubles[0].message
    ready = len(stored.members)
    if stored.plan and stored.plan.phase is Phase.WAIT and ready < scene.seen.job.spec.nodes.min:
        text = f"{ready} workers are ready, spec.nodes.min is {scene.seen.job.spec.nodes.min}"
        return kind, False, "WaitingForWorkers", text
    if awaited := _awaited(scene, stored):
        return kind, False, "WaitingForCheckpoint", awaited
    if any(line.state is NodeState.PAUSED for line in lines):
        return (
            kind,
            False,
            "NoMajority",
            "the workers that are heard are without a majority of their last formation",
        )
    return kind, False, "Starting", "workers are starting"


def _of_groups(scene: DecisionContext, said: Callable[[GroupContext], str]) -> str:
    """What is said of the first group of which there is something to say."""
    texts = ((group, said(group)) for group in scene.groups)
    return next((group.told_of(text) for group, text in texts if text), "")


def _awaited(scene: DecisionContext, stored: StoredPlan) -> str:
    def of(group: GroupContext) -> str:
        plan = stored.plan and stored.plan.find(group.name)
        here = [m.worker for m in plan.members if scene.reports.heard(m.worker)] if plan else []
        return generation.awaited(group, stored.group(group.name).formation, here)

    return _of_groups(scene, of)


def _office(scene: DecisionContext, stored: StoredPlan) -> AggregatorTenure | None:
    """Of the first group that has one: the others' aggregators stand with their groups."""
    offices = (stored.group(group.name).office for group in scene.groups)
    return next((office for office in offices if office), None)


def _apart(stored: StoredPlan) -> str:
    count = sum(bool(of.members) for of in stored.plan.groups) if stored.plan else 0
    if count < 2:
        return ""
    return f" by {count} groups, which share nothing yet: strategy.grouping is experimental"


def _preventing(scene: DecisionContext, troubles: Sequence[Trouble]) -> list[Trouble]:
    """Troubles that keep the job from training: of single nodes only where the rest are too few."""
    without = scene.placement.wanted - {trouble.node for trouble in troubles}
    enough = len(without) >= max(scene.seen.job.spec.nodes.min, 1)
    return [trouble for trouble in troubles if not (enough and trouble.node)]


def _all_dark(scene: DecisionContext, stored: StoredPlan) -> bool:
    """Nobody of a group that has trained is heard: it trains on, for all that is known."""
    formed = any(group.formation for group in stored.groups.values())
    if not formed or scene.reports.any_heard(m.worker for m in stored.members):
        return False
    pods = [scene.pods.get(m.pod_uid) for m in stored.members]
    return any(pod is None or not scene.down(pod) for pod in pods)


def _degraded(
    scene: DecisionContext, lines: Sequence[NodeStatus], troubles: Sequence[Trouble], found: Verdict | None
) -> conditions.Said:
    kind = ConditionType.DEGRADED
    if found is not None:
        return kind, False, found.end, ""
    named = {trouble.node for trouble in troubles}
    bad = [line for line in lines if line.state in _BAD and line.node not in named]
    if troubles:
        missing = f"; {_by_state(bad)}" if bad else ""
        return kind, True, troubles[0].reason, troubles[0].message + others(troubles) + missing
    if bad:
        return kind, True, "WorkersMissing", _by_state(bad)
    short = [line.node for line in lines if line.state is not NodeState.TRAINING]
    if short or not lines:
        return kind, True, "FewerWorkers", f"not training yet: {', '.join(short[:20]) or 'all'}"
    return kind, False, "AllTraining", ""


def _stalled(scene: DecisionContext, found: Verdict | None) -> conditions.Said:
    text = _of_groups(scene, stall.stalled) if found is None else ""
    return ConditionType.STALLED, bool(text), "NobodyTrains" if text else "NotStalled", text


def _by_state(lines: Sequence[NodeStatus]) -> str:
    """A dark worker is not said to train, nor not to: it is Paused or Lost as far as anybody knows."""
    nodes: dict[str, list[str]] = {}
    for line in lines[:MISSING_MAX]:
        nodes.setdefault(line.state, []).append(line.node)
    return "; ".join(f"{state}: {', '.join(names)}" for state, names in nodes.items())


def _word(found: Verdict | None, said: Sequence[conditions.Said], lines: Sequence[NodeStatus]) -> str:
    if found is not None:
        return found.end
    holds = {kind: is_true for kind, is_true, _, _ in said}
    if holds[ConditionType.TRAINING]:
        return "Training"
    if not holds[ConditionType.SCHEDULED]:
        return "Pending"
    return "Paused" if any(line.state is NodeState.PAUSED for line in lines) else "Starting"


def _counts(scene: DecisionContext, lines: Sequence[NodeStatus]) -> WorkerCounts:
    return WorkerCounts(
        desired=len(scene.placement.wanted),
        ready=sum(pod.ready and pod.living for pod in scene.seen.pods),
        training=sum(line.state is NodeState.TRAINING for line in lines),
        paused=sum(line.state is NodeState.PAUSED for line in lines),
    )


def _election(office: AggregatorTenure) -> ElectionStatus:
    return ElectionStatus(
        worker=office.worker,
        node=office.node,
        since=time_text(office.since),
        reason=office.reason,
        bandwidth_bits_per_second=office.bits_per_second,
        runner_up=office.runner_up or None,
        runner_up_bits_per_second=office.runner_up_bits_per_second if office.runner_up else None,
    )


def _without_progress(of: JobStatus) -> JobStatus:
    numbers = {"steps_per_second": 0.0, "samples_per_second": 0.0, "bandwidth_bits_per_second": None}
    nodes = [line.model_copy(update=numbers) for line in of.nodes]
    groups = [group.model_copy(update={"progress": JobProgress()}) for group in of.groups]
    return of.model_copy(update={"progress": JobProgress(), "groups": groups, "nodes": nodes})
