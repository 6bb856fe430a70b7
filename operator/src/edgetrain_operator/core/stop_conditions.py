"""spec.runPolicy.stopWhen: what is enough of training, by what status.progress says of it."""

from collections.abc import Iterator

from edgetrain_operator.core.actions import Event
from edgetrain_operator.core.context import DecisionContext
from edgetrain_operator.core.progress import group_status, job_progress
from edgetrain_operator.core.training_time import trained_seconds
from edgetrain_protocol.run_policy import MetricBound, StopCondition
from edgetrain_protocol.status import JobProgress

STOP_CONDITION_MET = "StopConditionMet"


def newly_met(scene: DecisionContext) -> str:
    """The first condition that is met now, and by what; empty where none is."""
    wanted = scene.seen.job.spec.run_policy.stop_when
    if not wanted or scene.plan is None:
        return ""
    progress = job_progress([group_status(group, scene.stored, trains=True) for group in scene.groups])
    seconds = trained_seconds(scene.seen.job.status, scene.now)
    texts = (_met(condition, progress, seconds) for condition in wanted)
    return next((text for text in texts if text), "")


def events(met: str) -> Iterator[Event]:
    """Once, as it is met."""
    if met:
        yield Event("Normal", STOP_CONDITION_MET, f"{met}: no further epoch begins")


def _met(condition: StopCondition, progress: JobProgress, seconds: float) -> str:
    if condition.metric:
        return _reached(condition.metric, progress)
    if condition.steps is not None and progress.step >= condition.steps:
        return f"{progress.step} steps are committed, runPolicy.stopWhen says steps: {condition.steps}"
    # As the last one begins: told with its end, the job would train one more.
    if condition.epochs is not None and progress.step and progress.epoch + 1 >= condition.epochs:
        return f"epoch {progress.epoch + 1} has begun, runPolicy.stopWhen says epochs: {condition.epochs}"
    if condition.training_seconds is not None and seconds >= condition.training_seconds:
        wanted = condition.training_seconds
        return f"it has trained for {seconds:.0f} s, runPolicy.stopWhen says trainingSeconds: {wanted}"
    return ""


def _reached(bound: MetricBound, progress: JobProgress) -> str:
    value = progress.metrics.get(bound.name, progress.loss if bound.name == "loss" else None)
    if value is None:
        return ""
    said = f"{bound.name} is {value:g}, runPolicy.stopWhen says"
    if bound.at_least is not None and value >= bound.at_least:
        return f"{said} atLeast: {bound.at_least:g}"
    if bound.at_most is not None and value <= bound.at_most:
        return f"{said} atMost: {bound.at_most:g}"
    return ""
