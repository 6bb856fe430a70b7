"""How far a job in rounds has come, and who holds its log, as its status tells it."""

from collections.abc import Mapping

from edgetrain_operator.core.context import DecisionContext
from edgetrain_operator.core.lifecycle import is_over
from edgetrain_operator.core.progress import seconds_for
from edgetrain_operator.core.report_view import agreed
from edgetrain_operator.core.rounds.hearing import holders_said
from edgetrain_operator.core.rounds.loss import node_of_holder
from edgetrain_operator.core.stored import StoredPlan
from edgetrain_protocol.rounds_report import RoundsPart
from edgetrain_protocol.status import JobProgress, RoundsStatus

VERSIONS_AHEAD = 100
"""No worker reads of so many versions before any other does."""


def rounds_status(scene: DecisionContext, stored: StoredPlan, progress: JobProgress) -> RoundsStatus | None:
    """None where no plan speaks of rounds; of a job that is over it stays as it was.

    Args:
        progress: of the job, with its rounds.
    """
    rounds, told = stored.plan.rounds if stored.plan else None, scene.seen.job.status
    if rounds is None or is_over(told):
        return told.rounds
    line = [holder.name for holder in rounds.holders]
    left = [name for name in stored.rounds.council if name not in line]
    holders = [name for name in line if name in stored.rounds.council] + left or line
    lead = stored.rounds.lead if _leads(scene, stored.rounds.lead) else ""
    newest = _newest(scene, progress.version)
    return RoundsStatus(
        lead=node_of_holder(scene, lead) if lead else "",
        holders=[node_of_holder(scene, name) for name in holders],
        version=progress.version,
        groups=newest.groups if newest else told.rounds.groups if told.rounds else 0,
    )


def with_rounds(scene: DecisionContext, stored: StoredPlan, progress: JobProgress) -> JobProgress:
    """The same, with the newest version and what it contains: of a job in rounds that is how far it is. Where
    each worker has data of its own, it is as far as the group that is furthest from its end."""
    if not stored.plan or stored.plan.rounds is None:
        return progress
    before = scene.seen.job.status.progress
    version = max(before.version, agreed(_versions(scene), VERSIONS_AHEAD))
    newest = _newest(scene, version)
    if newest and not newest.total:
        return progress.model_copy(update={"version": version})
    told = {"version": version, "merged_samples": before.merged_samples, "percent": before.percent}
    if newest and newest.merged >= before.merged_samples:
        part = min(newest.merged / newest.total, 1.0)
        told |= {"merged_samples": newest.merged, "percent": round(100 * part, 2)}
    eta = _eta(newest, progress.samples_per_second)
    return progress.model_copy(update=told | {"eta_seconds": None if stored.stop_condition else eta})


def _leads(scene: DecisionContext, name: str) -> bool:
    said = holders_said(scene).items()
    return any(part.name == name and part.leads and scene.reports.heard(worker) for worker, part in said)


def _versions(scene: DecisionContext) -> list[int]:
    """The newest that each worker speaks of."""
    found: dict[str, int] = {worker: part.version for worker, part in holders_said(scene).items()}
    for worker, part in _parts(scene).items():
        found[worker] = max(part.version, found.get(worker, 0))
    return list(found.values())


def _newest(scene: DecisionContext, version: int) -> RoundsPart | None:
    """What is said of it, or of the one before that anybody speaks of: of several, who claims the least."""
    known = [part for part in _parts(scene).values() if part.version <= version]
    return max(known, key=lambda part: (part.version, -part.merged), default=None)


def _parts(scene: DecisionContext) -> Mapping[str, RoundsPart]:
    """What each worker said last, silent by now or not."""
    parts = ((worker, scene.reports.training(worker)) for worker in sorted(scene.records))
    return {worker: part.rounds for worker, part in parts if part and part.rounds}


def _eta(newest: RoundsPart | None, speed: float) -> int | None:
    """Until all is merged, at the present speed of all groups."""
    if newest is None or not newest.total:
        return None
    return seconds_for(max(newest.total - newest.merged, 0), speed)
