"""Which program the job trains: that of the first group that committed a step."""

from edgetrain_operator.core.scene import Scene
from edgetrain_operator.core.stored import StoredPlan


def with_program(scene: Scene, stored: StoredPlan) -> StoredPlan:
    """The record with the program's hash, once somebody trains it. It never changes."""
    if stored.program:
        return stored
    heard = (scene.hearing.training(w) for w in sorted(scene.seen.reports) if scene.hearing.heard(w))
    known = (p.program for p in heard if p and p.program and p.formation and p.base)
    first = next(known, "")
    return stored.model_copy(update={"program": first}) if first else stored


def differs(scene: Scene, worker: str) -> str | None:
    """How this worker's program differs from the job's, in words for people; None where it does not."""
    part, pinned = scene.hearing.training(worker), scene.stored.program
    if part is None or not pinned or not part.program or part.program == pinned:
        return None
    return f"the files of its program ({part.program}) are not those that the job began with ({pinned})"
