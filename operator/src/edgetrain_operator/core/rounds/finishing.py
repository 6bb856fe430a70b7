"""Whom the end of a job in rounds does not wait for."""

from collections.abc import Collection

from edgetrain_operator.core.context import DecisionContext, GroupContext
from edgetrain_operator.core.grouping import in_rounds
from edgetrain_protocol.report import TrainerState, TrainingPart


def left_behind(scene: DecisionContext, groups: Collection[GroupContext]) -> set[str]:
    """Names of the groups that are not heard, where the job is done without them: all is merged, or no more
    is asked for. Where they are half of all groups or more, it waits: so few end nothing."""
    if not in_rounds(scene.seen.job.spec) or not (scene.stored.stop_condition or _all_is_merged(scene)):
        return set()
    silent = {g.name for g in groups if g.detached and not scene.finished.keys() & g.records.keys()}
    return silent if 2 * len(silent) < len(groups) else set()


def _all_is_merged(scene: DecisionContext) -> bool:
    parts = (scene.reports.training(worker) for worker in scene.records)
    return any(_says_so(part) for part in parts if part)


def _says_so(part: TrainingPart) -> bool:
    if part.rounds is None:
        return False
    if not part.rounds.total:
        # Of data of their own: the log ends once none of the groups has any left.
        return part.state is TrainerState.FINISHED
    return part.rounds.total <= part.rounds.merged
