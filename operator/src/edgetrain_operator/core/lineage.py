"""Breaking a tie that a group cannot break: a new lineage where its majority is gone for good.

A group re-forms by its own vote as long as more than half of its last formation can vote. Only where
too many of their pods are gone does the operator, and nobody else, start a new history, and says so.
"""

from collections.abc import Iterable
from dataclasses import dataclass

from edgetrain_operator.core.scene import Scene
from edgetrain_operator.core.stored import KnownFormation
from edgetrain_protocol.report import TrainerState

IDLE = frozenset({TrainerState.PAUSED, TrainerState.WAITING})


@dataclass(frozen=True)
class NewLineage:
    source: str
    """Whose state it starts from; empty: the newest durable checkpoint."""
    step: int | None
    """Of that state, where known."""
    message: str
    """For the Event: what was lost."""


def known_formation(scene: Scene) -> KnownFormation | None:
    """The newest formation heard of, remembered over take-overs and silence."""
    known, heard = scene.stored.formation, scene.hearing.formation
    if heard is None or (known and heard.number <= known.number):
        return known
    uids = {m.worker: m.pod_uid for m in scene.members} | {w: r.pod_uid for w, r in scene.records.items()}
    steps = [scene.hearing.step(worker) for worker in heard.members]
    members = {worker: uids.get(worker, "") for worker in heard.members}
    return KnownFormation(
        number=heard.number, aggregator=heard.aggregator, members=members, step=max(steps, default=0)
    )


def new_lineage(scene: Scene, formation: KnownFormation | None, ready: Iterable[str]) -> NewLineage | None:
    """Whether history must start anew, and from what."""
    if formation is None:
        return None
    alive = [w for w, uid in formation.members.items() if not scene.over(w, uid)]
    if can_vote(formation, alive):
        return None
    heard = [w for w in alive if scene.hearing.heard(w)]
    if alive and not (heard and all(_idle(scene, w) for w in heard)):
        return None
    if not alive and not list(ready):
        return None  # Nobody to start with: wait for a worker.
    return _from(scene, formation, heard)


def can_vote(formation: KnownFormation, alive: Iterable[str]) -> bool:
    """Whether these can still be more than half, or the half that has the aggregator."""
    living = set(alive)
    twice, all_of_them = 2 * len(living), len(formation.members)
    return twice > all_of_them or (twice == all_of_them and formation.aggregator in living)


def _idle(scene: Scene, worker: str) -> bool:
    part = scene.hearing.training(worker)
    return part is not None and part.state in IDLE


def _from(scene: Scene, formation: KnownFormation, survivors: list[str]) -> NewLineage:
    gone = len(formation.members) - len(survivors)
    what = f"{gone} of the {len(formation.members)} workers of formation {formation.number} are gone for good"
    if survivors:
        source = max(sorted(survivors), key=scene.hearing.step)
        step = scene.hearing.step(source)
        lost = max(formation.step - step, 0)
        node = scene.records[source].node
        return NewLineage(
            source, step, f"{what}; going on from step {step} of {node}, {lost} known steps lost"
        )
    durable = scene.stored.durable_step
    if durable is None:
        return NewLineage(
            "", None, f"{what}, with no durable checkpoint on record: going on from the newest one found"
        )
    lost = max(formation.step - durable, 0)
    return NewLineage(
        "", durable, f"{what}; going on from the checkpoint of step {durable}, {lost} known steps lost"
    )
