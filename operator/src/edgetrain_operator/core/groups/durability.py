"""Which step is durable: in one and the same checkpoint on two nodes, and on record here."""

from edgetrain_operator.core.context import GroupContext
from edgetrain_operator.core.stored import GroupRecord
from edgetrain_protocol.report import Checkpoint

COPIES = 2


def with_durable(scene: GroupContext, stored: GroupRecord) -> GroupRecord:
    """The record with the newest durable step of the history that the present generation goes on from."""
    kept = stored.durable if stored.durable and stored.alive(stored.durable) else None
    stored = stored.model_copy(update={"durable": kept, "durable_on": stored.durable_on if kept else ()})
    # One copy will do where there is only one worker: there is nobody to hold another.
    needed = min(COPIES, max(len(scene.members), 1))
    found = [(c, on) for c, on in holders(scene).items() if len(on) >= needed and stored.alive(c)]
    newest, on = max(found, key=lambda item: item[0].step, default=(None, ()))
    if newest is None or (kept is not None and newest.step < kept.step):
        return stored
    return stored.model_copy(update={"durable": newest, "durable_on": tuple(on)})


def holders(scene: GroupContext) -> dict[Checkpoint, list[str]]:
    """Each checkpoint that anybody reports -> who holds it, whether heard just now or not."""
    held: dict[Checkpoint, list[str]] = {}
    for worker in sorted(scene.records):
        part = scene.reports.training(worker)
        for checkpoint in part.checkpoints if part else ():
            if checkpoint.group != scene.name:
                continue
            named = checkpoint.model_copy(update={"path": "", "at": 0.0})
            held.setdefault(named, []).append(worker)
    return held
