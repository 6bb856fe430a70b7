"""The job's status: all of it, every time. Whether it is worth a write is decided in `status_due`."""

from collections.abc import Sequence
from typing import Literal

from edgetrain_operator.core import condition_updates, conditions, training_time
from edgetrain_operator.core.actions import Event
from edgetrain_operator.core.children import worker_selector
from edgetrain_operator.core.context import DecisionContext
from edgetrain_operator.core.lifecycle import End, Verdict, failures
from edgetrain_operator.core.node_status import NODES_MAX, node_lines
from edgetrain_operator.core.observe import time_text, unix_time
from edgetrain_operator.core.progress import group_status, job_progress
from edgetrain_operator.core.rounds.telling import rounds_status, with_rounds
from edgetrain_operator.core.runtimes.news import runtime_events, runtime_status
from edgetrain_operator.core.stored import AggregatorTenure, StoredPlan
from edgetrain_operator.core.troubles import NODE_LEFT_OUT, QUEUED
from edgetrain_protocol.status import (
    ConditionType,
    ElectionStatus,
    JobProgress,
    JobStatus,
    NodeState,
    NodeStatus,
    PlanRef,
    QueueStatus,
    WorkerCounts,
)

PROGRESS_SECONDS = 10.0
"""Between writes for progress and rates alone."""
GROUPS_MAX = 100
AGGREGATOR_MAX = 256


def status(scene: DecisionContext, stored: StoredPlan, found: Verdict | None) -> JobStatus:
    """status as it should be."""
    job, before = scene.seen.job, scene.seen.job.status
    lines = node_lines(scene, stored.plan, found)
    said = conditions.said(scene, stored, lines, found)
    over = found is not None and found.end is not End.SUSPENDED
    suspended = found is not None and found.end is End.SUSPENDED
    plan, office = stored.plan, _office(scene, stored)
    training = {line.worker for line in lines if line.state is NodeState.TRAINING}
    groups = [
        group_status(group, stored, trains=not training.isdisjoint(group.records))
        for group in (scene.groups if plan else ())
    ]
    progress = with_rounds(scene, stored, job_progress(groups)) if plan else before.progress
    now = condition_updates.update(before.conditions, said, time_text(scene.now), job.generation)
    return JobStatus(
        observed_generation=job.generation,
        phase=_word(found, said, lines),
        conditions=now,
        trained_seconds=training_time.settled(before, now, scene.now),
        workers=_counts(scene, lines),
        queue=_queue(scene),
        runtime=runtime_status(job),
        selector=worker_selector(job.uid),
        aggregator=", ".join(group.aggregator for group in groups if group.aggregator)[:AGGREGATOR_MAX],
        plan=PlanRef(lineage=plan.lineage, revision=plan.revision) if plan else before.plan,
        progress=progress,
        groups=groups[:GROUPS_MAX],
        rounds=rounds_status(scene, stored, progress),
        election=_election(office) if office else before.election,
        start_time=None if suspended else _time(before.start_time) or _started(scene),
        completion_time=(_time(before.completion_time) or time_text(scene.now)) if over else None,
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
            kind: Literal["Normal", "Warning"] = "Normal" if condition.reason == QUEUED else "Warning"
            events.append(Event(kind, condition.reason, condition.message))
    return (*events, *runtime_events(before.runtime, after.runtime))


_WORTH_TELLING: dict[str, tuple[str | None, str | None]] = {
    ConditionType.SUSPENDED: ("True", None),
    ConditionType.SCHEDULED: (None, "False"),
    ConditionType.TRAINING: ("True", None),
    ConditionType.DEGRADED: (None, "True"),
    ConditionType.STALLED: (None, "True"),
    ConditionType.COMPLETE: ("True", None),
    ConditionType.FAILED: (None, "True"),
}
_NO_TROUBLE = frozenset({"Starting", "FewerWorkers", NODE_LEFT_OUT, *End})
"""Of these there is no Event, or there was one when it happened."""


def _queue(scene: DecisionContext) -> QueueStatus | None:
    grant = scene.seen.grant
    if grant is None:
        return None
    return QueueStatus(granted=len(grant.nodes), usable=grant.usable, gain=grant.gain)


def _time(text: str | None) -> str | None:
    """None where it is no time: what goes by it would never come."""
    return text if unix_time(text) else None


def _started(scene: DecisionContext) -> str | None:
    """Now, unless it waits for its queue to begin at all."""
    grant = scene.seen.grant
    return None if grant is not None and grant.waits and not grant.nodes else time_text(scene.now)


def _office(scene: DecisionContext, stored: StoredPlan) -> AggregatorTenure | None:
    """Of the first group that has one: the others' aggregators stand with their groups."""
    offices = (stored.group(group.name).office for group in scene.groups)
    return next((office for office in offices if office), None)


def _word(found: Verdict | None, said: Sequence[condition_updates.Said], lines: Sequence[NodeStatus]) -> str:
    if found is not None:
        return found.end
    holds = {kind: is_true for kind, is_true, _, _ in said}
    if holds[ConditionType.TRAINING]:
        return "Training"
    if not holds[ConditionType.SCHEDULED]:
        queued = any(kind == ConditionType.SCHEDULED and reason == QUEUED for kind, _, reason, _ in said)
        return QUEUED if queued else "Pending"
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
    rates = {"steps_per_second": 0.0, "samples_per_second": 0.0}
    numbers = {**rates, "local_samples": None, "bandwidth_bits_per_second": None}
    nodes = [line.model_copy(update=numbers) for line in of.nodes]
    groups = [group.model_copy(update={"progress": JobProgress()}) for group in of.groups]
    rounds = of.rounds and of.rounds.model_copy(update={"version": 0})
    told = {"progress": JobProgress(), "groups": groups, "rounds": rounds, "nodes": nodes}
    return of.model_copy(update=told)
