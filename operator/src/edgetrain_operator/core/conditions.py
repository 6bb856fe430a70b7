"""Which of the job's conditions hold, and why: one function for each."""

from collections.abc import Callable, Sequence

from edgetrain_operator.core.condition_updates import Said
from edgetrain_operator.core.context import DecisionContext, GroupContext
from edgetrain_operator.core.groups import generation, stall
from edgetrain_operator.core.lifecycle import End, Verdict
from edgetrain_operator.core.model import Trouble
from edgetrain_operator.core.rounds.planning import awaits_holder, why_no_holder
from edgetrain_operator.core.stored import StoredPlan
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
from edgetrain_protocol.status import ConditionType, NodeState, NodeStatus

MISSING_MAX = 20
"""Nodes that are named in one message."""

_BAD = frozenset({NodeState.PAUSED, NodeState.LOST, NodeState.FAILED, NodeState.HUNG})


def said(
    scene: DecisionContext, stored: StoredPlan, lines: Sequence[NodeStatus], found: Verdict | None
) -> list[Said]:
    """All of the job's conditions. `lines`: of its nodes; `found`: why the job does not run."""
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


def _of_end(kind: ConditionType, end: End, found: Verdict | None, otherwise: str) -> Said:
    if found is not None and found.end is end:
        return kind, True, found.reason, found.message
    return kind, False, otherwise, ""


def _scheduled(scene: DecisionContext, troubles: Sequence[Trouble], found: Verdict | None) -> Said:
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
) -> Said:
    kind = ConditionType.TRAINING
    if found is not None:
        return kind, False, found.reason, found.message
    if _all_dark(scene, stored):
        return kind, True, "Training", "as far as was last heard"
    if any(line.state is NodeState.TRAINING for line in lines):
        if waits := _of_groups(scene, stall.waiting):
            return kind, False, "Waiting", waits
        if stored.stop_condition:
            ends = "it ends where its programs come to the end of their epoch"
            return kind, True, "Finishing", f"{stored.stop_condition}; {ends}"
        return kind, True, "Training", f"steps are being committed{_apart(stored)}"
    if troubles := _preventing(scene, troubles):
        return kind, False, troubles[0].reason, troubles[0].message
    if why := _waits(scene, stored):
        return kind, False, *why
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


def _waits(scene: DecisionContext, stored: StoredPlan) -> tuple[str, str] | None:
    """Why the plan has workers wait: reason and message; None where it does not."""
    ready, plan, spec = len(stored.members), stored.plan, scene.seen.job.spec
    if plan is None or plan.phase is not Phase.WAIT:
        return None
    if ready < spec.nodes.min:
        return "WaitingForWorkers", f"{ready} workers are ready, spec.nodes.min is {spec.nodes.min}"
    if awaits_holder(spec, plan.rounds):
        return "WaitingForHolder", why_no_holder(scene, [member.worker for member in stored.members])
    return None


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


def _apart(stored: StoredPlan) -> str:
    count = sum(bool(of.members) for of in stored.plan.groups) if stored.plan else 0
    if count < 2:
        return ""
    return f" by {count} groups, which train one model in rounds: strategy.grouping is experimental"


def _preventing(scene: DecisionContext, troubles: Sequence[Trouble]) -> list[Trouble]:
    """Troubles that keep the job from training: of single nodes only where the rest are too few."""
    without = scene.placement.wanted - {trouble.node for trouble in troubles}
    enough = len(without) >= max(scene.seen.job.spec.nodes.min, 1)
    return [trouble for trouble in troubles if not (enough and trouble.node)]


def _all_dark(scene: DecisionContext, stored: StoredPlan) -> bool:
    """Nobody of a group that has trained is heard: it trains on, for all that is known."""
    formed = any(group.formation for group in stored.groups.values())
    stopped = stored.plan is not None and stored.plan.phase is Phase.STOP
    if not formed or stopped or scene.reports.any_heard(m.worker for m in stored.members):
        return False
    pods = [scene.pods.get(m.pod_uid) for m in stored.members]
    return any(pod is None or not scene.down(pod) for pod in pods)


def _degraded(
    scene: DecisionContext, lines: Sequence[NodeStatus], troubles: Sequence[Trouble], found: Verdict | None
) -> Said:
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


def _stalled(scene: DecisionContext, found: Verdict | None) -> Said:
    text = _of_groups(scene, stall.stalled) if found is None else ""
    return ConditionType.STALLED, bool(text), "NobodyTrains" if text else "NotStalled", text


def _by_state(lines: Sequence[NodeStatus]) -> str:
    """A dark worker is not said to train, nor not to: it is Paused or Lost as far as anybody knows."""
    nodes: dict[str, list[str]] = {}
    for line in lines[:MISSING_MAX]:
        nodes.setdefault(line.state, []).append(line.node)
    return "; ".join(f"{state}: {', '.join(names)}" for state, names in nodes.items())
