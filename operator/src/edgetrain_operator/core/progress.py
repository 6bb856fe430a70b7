"""How far the job has come, as its status tells it."""

from edgetrain_operator.core.context import DecisionContext
from edgetrain_operator.core.report_view import agreed
from edgetrain_operator.core.stored import StoredPlan
from edgetrain_protocol.report import TrainingPart
from edgetrain_protocol.status import JobProgress


def progress(scene: DecisionContext, stored: StoredPlan, trains: bool) -> JobProgress:
    """From the member that is furthest in the present lineage, as far as others bear it out. A speed only
    while somebody trains."""
    first, before = _furthest(scene, stored), _told_before(scene, stored)
    if first is None or first.step < before.step:
        # Programs that have just started know less than what has been told.
        speed = {} if trains else {"samples_per_second": 0.0, "eta_seconds": None}
        return before.model_copy(update={"durable_step": stored.durable_step, **speed})
    return JobProgress(
        step=first.step,
        epoch=first.epoch,
        percent=round(first.percent, 2),
        loss=first.loss,
        samples_per_second=round(first.samples_per_second, 1) if trains else 0.0,
        eta_seconds=_eta(first) if trains else None,
        durable_step=stored.durable_step,
    )


def _furthest(scene: DecisionContext, stored: StoredPlan) -> TrainingPart | None:
    lineage = stored.plan.lineage if stored.plan else scene.lineage
    fellows = scene.hearing.fellows.values() if lineage == scene.lineage else ()
    parts = list(fellows) or scene.hearing.of_lineage(lineage)
    most = agreed(part.step for part in parts)
    return max((p for p in parts if p.step <= most), key=lambda part: part.step, default=None)


def _told_before(scene: DecisionContext, stored: StoredPlan) -> JobProgress:
    """What was told last; of a lineage that has just been raised, where it begins."""
    told, plan = scene.seen.job.status, stored.plan
    if plan is None or plan.lineage == told.plan.lineage:
        return told.progress
    step = min(plan.origin.step if plan.origin else 0, told.progress.step)
    percent = told.progress.percent * step / told.progress.step if step else 0.0
    return told.progress.model_copy(update={"step": step, "percent": round(percent, 2)})


def _eta(part: TrainingPart) -> int | None:
    """The steps left by what share of them is done, at the present rate."""
    if part.percent <= 0 or part.steps_per_second <= 0:
        return None
    return round(part.step * (100 - part.percent) / part.percent / part.steps_per_second)
