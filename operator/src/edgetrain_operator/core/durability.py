"""Which step is durable: in one and the same checkpoint on two nodes, and on record here."""

from edgetrain_operator.core.lineage import NewLineage
from edgetrain_operator.core.scene import Scene
from edgetrain_operator.core.stored import StoredPlan

COPIES = 2


def with_durable(scene: Scene, stored: StoredPlan, renewal: NewLineage | None) -> StoredPlan:
    """The record with the newest durable step; in a new lineage none beyond the state it starts from."""
    if renewal:
        return _cut(stored, renewal)
    # One copy will do where there is only one worker: there is nobody to hold another.
    needed = min(COPIES, max(len(scene.members), 1))
    held: dict[tuple[int, str], list[str]] = {}
    for worker in sorted(scene.seen.reports):
        part = scene.hearing.training(worker)
        if part and part.checkpoint and part.checkpoint.lineage == scene.lineage:
            held.setdefault((part.checkpoint.step, part.checkpoint.digest), []).append(worker)
    enough = [(step, workers) for (step, _), workers in held.items() if len(workers) >= needed]
    step, workers = max(enough, default=(-1, []))
    if stored.durable_step is not None and step < stored.durable_step:
        return stored
    return (
        stored.model_copy(update={"durable_step": step, "durable_on": tuple(workers)}) if workers else stored
    )


def _cut(stored: StoredPlan, renewal: NewLineage) -> StoredPlan:
    """Checkpoints beyond where the new lineage starts are of a dead history."""
    step = stored.durable_step
    if step is None or (renewal.step is not None and step <= renewal.step):
        return stored
    # Where it starts from a survivor before the durable step, that checkpoint is dead, and older ones
    # may be gone; where it starts from what is found, none is known.
    return stored.model_copy(update={"durable_step": None, "durable_on": ()})
