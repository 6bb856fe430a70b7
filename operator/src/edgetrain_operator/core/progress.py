"""How far the job has come, as its status tells it."""

import math
from collections.abc import Sequence

from edgetrain_operator.core.context import GroupContext
from edgetrain_operator.core.job_plan import GroupPlan
from edgetrain_operator.core.report_view import agreed
from edgetrain_operator.core.stored import StoredPlan
from edgetrain_protocol.report import TrainingPart
from edgetrain_protocol.status import GroupStatus, JobProgress

LONGEST_SECONDS = 1e9
"""That is told of as the time until the end: thirty years."""


def group_status(scene: GroupContext, stored: StoredPlan, *, trains: bool) -> GroupStatus:
    """Of one group. A speed only while somebody trains."""
    planned = stored.plan.find(scene.name) if stored.plan else None
    plan, record = planned or scene.plan_before, stored.group(scene.name)
    progress = _progress(scene, plan, record.durable_step, trains)
    if stored.stop_condition:
        # Its rate tells when all would be done, and that is not when it ends now.
        progress = progress.model_copy(update={"eta_seconds": None})
    return GroupStatus(
        name=scene.name,
        generation=plan.generation,
        members=len(plan.members),
        aggregator=record.office.node if record.office and plan.group else "",
        progress=progress,
    )


def job_progress(groups: Sequence[GroupStatus]) -> JobProgress:
    """That of the group which is furthest from its end, and the speed of all."""
    last = min((group.progress for group in groups), key=lambda p: p.percent, default=JobProgress())
    speed = sum(group.progress.samples_per_second for group in groups)
    return last.model_copy(update={"samples_per_second": round(speed, 1)})


def _progress(scene: GroupContext, plan: GroupPlan, durable: int | None, trains: bool) -> JobProgress:
    """From the member that is furthest in the present generation, as far as others bear it out."""
    first, before = _furthest(scene, plan.generation), _told_before(scene, plan)
    if first is None or first.step < before.step:
        # Programs that have just started know less than what has been told.
        speed = {} if trains else {"samples_per_second": 0.0, "eta_seconds": None}
        return before.model_copy(update={"durable_step": durable, **speed})
    return JobProgress(
        step=first.step,
        epoch=first.epoch,
        percent=round(first.percent, 2),
        loss=first.loss,
        metrics=_main(scene, first).metrics,
        samples_per_second=round(first.samples_per_second, 1) if trains else 0.0,
        eta_seconds=_eta(first) if trains else None,
        durable_step=durable,
    )


def _furthest(scene: GroupContext, generation: int) -> TrainingPart | None:
    history = scene.history._replace(generation=generation)
    fellows = scene.reports.fellows.values() if history == scene.history else ()
    parts = list(fellows) or scene.reports.of_history(history)
    most = agreed(part.step for part in parts)
    return max((p for p in parts if p.step <= most), key=lambda part: part.step, default=None)


def _main(scene: GroupContext, first: TrainingPart) -> TrainingPart:
    """Of the member whose word counts for what programs log: they may log what differs by member."""
    name = first.formation.members[0] if first.formation and first.formation.members else ""
    return scene.reports.fellows.get(name, first)


def _told_before(scene: GroupContext, plan: GroupPlan) -> JobProgress:
    """What was told last; of a generation that has just begun, where it begins."""
    told = scene.told_before
    if told is None:
        return JobProgress()
    if plan.generation == told.generation:
        return told.progress
    step = min(plan.origin.step if plan.origin else 0, told.progress.step)
    if not step:
        return JobProgress()
    percent = told.progress.percent * step / told.progress.step
    return told.progress.model_copy(update={"step": step, "percent": round(percent, 2)})


def _eta(part: TrainingPart) -> int | None:
    """The steps left by what share of them is done, at the present rate."""
    if part.percent <= 0:
        return None
    return seconds_for(part.step * (100 - part.percent) / part.percent, part.steps_per_second)


def seconds_for(work: float, rate: float) -> int | None:
    """None where it would not end, for all that such a rate tells."""
    seconds = work / rate if rate > 0 else math.inf
    return round(seconds) if seconds < LONGEST_SECONDS else None
