"""Whether the job runs, is suspended, complete or failed."""

from collections.abc import Collection, Mapping
from dataclasses import dataclass
from enum import StrEnum
from pathlib import PurePath

from edgetrain_operator.core import starting
from edgetrain_operator.core.actions import Action, DeleteJob, DeletePod, Forget
from edgetrain_operator.core.context import DecisionContext, GroupContext
from edgetrain_operator.core.divergence import REASON as LOSS_NOT_FINITE
from edgetrain_operator.core.divergence import diverged
from edgetrain_operator.core.failure_rules import FAILURE_RULE, fatal
from edgetrain_operator.core.grace import grace_seconds
from edgetrain_operator.core.kueue.hold import hold
from edgetrain_operator.core.model import PodView
from edgetrain_operator.core.observe import unix_time
from edgetrain_operator.core.resuming import told_if_from_the_beginning
from edgetrain_operator.core.rounds.finishing import left_behind
from edgetrain_operator.core.stop_conditions import STOP_CONDITION_MET
from edgetrain_operator.core.troubles import TEXT_MAX, failure_trouble, node_trouble
from edgetrain_operator.core.words import clipped
from edgetrain_protocol.job import JobSpec
from edgetrain_protocol.plan import Phase
from edgetrain_protocol.report import TrainerState, TrainingPart
from edgetrain_protocol.run_policy import CleanPodPolicy, OnNonFiniteLoss
from edgetrain_protocol.status import Condition, ConditionType, JobStatus

MODEL_NOT_SAVED = "ModelNotSaved"
MODEL_NOT_PUSHED = "ModelNotPushed"
WIND_DOWN_SECONDS = 30.0
"""For workers to end by themselves when the job is over, so that their logs stay."""


class End(StrEnum):
    SUSPENDED = "Suspended"
    COMPLETE = "Complete"
    FAILED = "Failed"


@dataclass(frozen=True)
class Verdict:
    """Why no worker shall train."""

    end: End
    reason: str
    message: str
    model: str | None = None


def verdict(scene: DecisionContext) -> Verdict | None:
    """None while the job runs. What was once over stays over."""
    job = scene.seen.job
    settled = _settled(job.status)
    if settled:
        return settled
    if complete := _finished(scene):
        return complete
    if job.spec.suspend:
        return Verdict(End.SUSPENDED, "SuspendRequested", _how_to_go_on(job.spec))
    if held := hold(scene.seen):
        return Verdict(End.SUSPENDED, held.reason, held.message)
    if _still_stopping(scene):
        # A plan that says train again would not call back who has begun to end: it ends well, as if done.
        return Verdict(End.SUSPENDED, "Stopping", "it goes on once the workers told to stop have ended")
    return _failed(scene)


def end_of(status: JobStatus) -> Condition | None:
    """The condition by which the job is over; None while it is not."""
    ends = (ConditionType.COMPLETE, ConditionType.FAILED)
    return next((c for c in status.conditions if c.type in ends and c.status == "True"), None)


def is_over(status: JobStatus) -> bool:
    return end_of(status) is not None


def failures(scene: DecisionContext) -> int:
    return sum(record.counted_failures for record in scene.records.values())


def wind_down(scene: DecisionContext, found: Verdict) -> tuple[tuple[Action, ...], float | None]:
    """Actions on what is left of a job that trains no more, and when to look again."""
    if found.end is End.SUSPENDED:
        return _suspend(scene)
    living = [pod for pod in scene.seen.pods if pod.living]
    leaving = _leaving(scene)
    ended = unix_time(scene.seen.job.status.completion_time) or scene.now
    if scene.now < ended + WIND_DOWN_SECONDS and living:
        return (), ended + WIND_DOWN_SECONDS
    leave: list[Action] = [DeletePod(p.name, p.uid, "the job is over") for p in leaving]
    if not any(not pod.ended for pod in scene.seen.pods) or scene.now >= ended + WIND_DOWN_SECONDS:
        leave.append(Forget("the job is over"))
    ttl = scene.seen.job.spec.run_policy.ttl_seconds_after_finished
    if ttl is None:
        return tuple(leave), None
    if scene.now >= ended + ttl:
        return (*leave, DeleteJob(f"over for runPolicy.ttlSecondsAfterFinished ({ttl})")), None
    return tuple(leave), ended + ttl


def _leaving(scene: DecisionContext) -> list[PodView]:
    """Pods that runPolicy.cleanPodPolicy does not leave to those who want to read their logs."""
    match scene.seen.job.spec.run_policy.clean_pod_policy:
        case CleanPodPolicy.NONE:
            return []
        case CleanPodPolicy.RUNNING:
            return [pod for pod in scene.seen.pods if pod.living or (pod.lingers and not pod.deleting)]
        case CleanPodPolicy.ALL:
            return [pod for pod in scene.seen.pods if not pod.deleting]


def _suspend(scene: DecisionContext) -> tuple[tuple[Action, ...], float | None]:
    """Members stop together at a boundary, save, and say what they have saved: a pod deleted at once
    would be gone with what it has not said."""
    due = _suspended_since(scene) + grace_seconds(scene.seen.job.spec)
    saving = {pod.uid for pod in scene.member_pods if pod.living and scene.now < due}
    leave = [pod for pod in scene.seen.pods if not pod.deleting and pod.uid not in saving]
    return tuple(DeletePod(p.name, p.uid, "the job is suspended") for p in leave), due if saving else None


def _suspended_since(scene: DecisionContext) -> float:
    said = (c for c in scene.seen.job.status.conditions if c.type == ConditionType.SUSPENDED)
    times = (unix_time(c.last_transition_time) for c in said if c.status == "True")
    return next(times, None) or scene.now


def _still_stopping(scene: DecisionContext) -> bool:
    if scene.plan is None or scene.plan.phase is not Phase.STOP:
        return False
    return any(not pod.deleting for pod in scene.member_pods)


def _how_to_go_on(spec: JobSpec) -> str:
    return "spec.suspend is true: set it to false to go on" + told_if_from_the_beginning(spec)


def _settled(status: JobStatus) -> Verdict | None:
    ended = end_of(status)
    return Verdict(End(ended.type), ended.reason, ended.message, status.model) if ended else None


def _finished(scene: DecisionContext) -> Verdict | None:
    said = ((w, scene.reports.training(w)) for w in sorted(scene.seen.reports))
    finished = {w: part for w, part in said if part and part.state is TrainerState.FINISHED}
    groups = [group for group in scene.groups if group.members] or scene.groups
    behind, ended = left_behind(scene, groups), finished.keys() | scene.finished.keys()
    if finished and all(group.name in behind or _has_finished(group, ended) for group in groups):
        return None if _pushing(scene, finished) else _with_model(scene, finished)
    # The reports may have been lost with an earlier operator; that all ended well says enough.
    pods = [scene.pods.get(member.pod_uid) for member in scene.members]
    trained = scene.plan is not None and scene.plan.phase is Phase.TRAIN and bool(pods)
    if trained and all(pod is not None and pod.phase == "Succeeded" for pod in pods):
        return _complete(scene, "ProgramEnded", "the program ended on all workers without naming a model")
    return None


def _pushing(scene: DecisionContext, finished: Mapping[str, TrainingPart]) -> bool:
    """Whether a member may still be about to push the model: the others stay for that, and end when its time
    is over."""
    store = scene.seen.job.spec.storage.model
    if store is None or store.uri is None:
        return False
    said = any(part.model_pushed or part.model_not_pushed for part in finished.values())
    pods = [scene.pods.get(scene.records[worker].pod_uid) for worker in finished]
    at_it = (w for w, part in scene.reports.parts.items() if part.state is TrainerState.TRAINING)
    return not said and all(pod and not pod.ended for pod in pods) and scene.reports.any_heard(at_it)


def _with_model(scene: DecisionContext, finished: Mapping[str, TrainingPart]) -> Verdict:
    worker = next((w for w, part in finished.items() if part.model), next(iter(finished)))
    node, part = scene.records[worker].node, finished[worker]
    model = f"{node}:{part.model}" if part.model else None
    where = f"the model is on {node} at {part.model}" if part.model else "it saved no model"
    store = scene.seen.job.spec.storage.model
    if part.model and store and store.uri:
        place = f"{store.uri.rstrip('/')}/{PurePath(part.model).name}"
        if any(said.model_pushed for said in finished.values()):
            model, where = place, f"the model is at {place}"
        else:
            whys = (said.model_not_pushed for said in finished.values() if said.model_not_pushed)
            why = next(whys, "the worker that was to push it is gone")
            where += f"; {MODEL_NOT_PUSHED}: it was not pushed to {place}: {clipped(why, TEXT_MAX)}"
    return _complete(scene, "Finished", f"training ended after step {part.step}; {where}", model)


def _complete(scene: DecisionContext, reason: str, text: str, model: str | None = None) -> Verdict:
    if met := scene.stored.stop_condition:
        return Verdict(End.COMPLETE, STOP_CONDITION_MET, f"{met}; {text}", model)
    return Verdict(End.COMPLETE, reason, text, model)


def _has_finished(group: GroupContext, finished: Collection[str]) -> bool:
    """Its members end at one step, so that the others say so in a moment: the word of a few ends nothing."""
    training = sum(part.state is TrainerState.TRAINING for part in group.reports.parts.values())
    return sum(worker in group.records for worker in finished) > training


def _in_vain(scene: DecisionContext) -> Verdict | None:
    """Where to train on, or anew, would come to the same."""
    if scene.seen.job.spec.run_policy.on_non_finite_loss is OnNonFiniteLoss.FAIL and (
        text := diverged(scene)
    ):
        return Verdict(End.FAILED, LOSS_NOT_FINITE, f"{text}; runPolicy.onNonFiniteLoss is fail")
    if any(group.durable for group in scene.stored.groups.values()):
        return None  # It goes on from there, not from the first step.
    unsaved = [
        trouble
        for worker in sorted(scene.records)
        if (part := scene.reports.training(worker)) and part.state is TrainerState.FAILED
        if (trouble := node_trouble(scene, worker)) and trouble.reason == MODEL_NOT_SAVED
    ]
    if not unsaved:
        return None
    text = "training ended, and neither a model nor a checkpoint could be saved"
    return Verdict(End.FAILED, MODEL_NOT_SAVED, f"{text}: {unsaved[0].message}")


def _failed(scene: DecisionContext) -> Verdict | None:
    policy, started = scene.seen.job.spec.run_policy, unix_time(scene.seen.job.status.start_time)
    deadline = policy.active_deadline_seconds
    if deadline is not None and started and scene.now - started >= deadline:
        text = f"not complete after runPolicy.activeDeadlineSeconds ({deadline})"
        return Verdict(End.FAILED, "DeadlineExceeded", text)
    if late := starting.overdue(scene):
        return Verdict(End.FAILED, starting.START_DEADLINE, late)
    if hopeless := starting.in_vain(scene):
        return Verdict(End.FAILED, hopeless.reason, hopeless.message)
    if in_vain := _in_vain(scene):
        return in_vain
    if by_rule := fatal(scene.records):
        return Verdict(End.FAILED, FAILURE_RULE, by_rule)
    count = failures(scene)
    if count <= policy.backoff_limit:
        return None
    last = failure_trouble(scene)
    reason = last.reason if last else "ProgramFailed"
    text = f"; the last: {last.message}" if last else ""
    return Verdict(
        End.FAILED, reason, f"{count} failures, runPolicy.backoffLimit is {policy.backoff_limit}{text}"
    )
