"""Which program the job trains: that of the first group that committed a step."""

from collections import Counter

from edgetrain_operator.core.context import DecisionContext
from edgetrain_operator.core.stored import StoredPlan


def with_program(scene: DecisionContext, stored: StoredPlan) -> StoredPlan:
    """The record with the program's hash, once somebody trains it. It never changes."""
    fellows = [part for group in scene.groups for part in group.reports.fellows.values()]
    said = Counter(part.program for part in fellows if part.program and part.base)
    program, count = next(iter(said.most_common(1)), ("", 0))
    settled = bool(stored.program) or 2 * count <= len(fellows)
    return stored if settled else stored.model_copy(update={"program": program})


def differs(scene: DecisionContext, worker: str) -> str | None:
    """How this worker's program differs from the job's, in words for people; None where it does not."""
    part, pinned = scene.reports.training(worker), scene.stored.program
    if part is None or not pinned or not part.program or part.program == pinned:
        return None
    return f"the files of its program ({part.program}) are not those that the job began with ({pinned})"
