"""Breaking a tie that a group cannot break: a new lineage where its majority is gone for good.

A group re-forms by its own vote as long as more than half of its last formation can vote. Only where
too many of their pods are gone, or all their programs have ended and with them the state in memory,
does the operator, and nobody else, start a new history, and says so.
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
    if heard is None or (known and heard.number < known.number):
        return known
    if known is None or heard.number > known.number:
        uids = {m.worker: m.pod_uid for m in scene.members} | {w: r.pod_uid for w, r in scene.records.items()}
        steps = [scene.hearing.step(worker) for worker in heard.members]
        known = KnownFormation(
            number=heard.number,
            aggregator=heard.aggregator,
            members={worker: uids.get(worker, "") for worker in heard.members},
            step=max(steps, default=0),
        )
    said = {w: i for w, i in scene.hearing.incarnations.items() if w in known.members}
    return known.model_copy(update={"incarnations": known.incarnations | said})


def founders(scene: Scene) -> KnownFormation | None:
    """Those of whom more than half must begin the lineage, as formation 0. They too may be gone for good,
    and nobody else may begin in their place."""
    plan = scene.plan
    if plan is None or not plan.founders:
        return None
    pods = dict(founder.split("/", 1) for founder in plan.founders)
    return KnownFormation(number=0, aggregator=next(iter(pods)), members=pods)


def new_lineage(scene: Scene, formation: KnownFormation | None, ready: Iterable[str]) -> NewLineage | None:
    """Whether history must start anew, and from what."""
    formation = formation or founders(scene)
    if formation is None:
        return None
    counted = [w for w in formation.members if not _declared_ended(scene, formation, w)]
    alive = [w for w in counted if not scene.over(w, formation.members[w])]
    if can_vote(counted, alive, formation.aggregator):
        return None
    heard = [w for w in alive if scene.hearing.heard(w)]
    if alive and not (heard and all(_idle(scene, w) for w in heard)):
        return None
    if not alive and not list(ready):
        return None  # Nobody to start with: wait for a worker.
    return _from(scene, formation, heard)


def can_vote(counted: Iterable[str], alive: Iterable[str], aggregator: str) -> bool:
    """Whether those alive can still be more than half of those counted, or the half with the aggregator."""
    living, all_of_them = set(alive), set(counted)
    if 2 * len(living) == len(all_of_them):
        return aggregator in living
    return 2 * len(living) > len(all_of_them)


def _declared_ended(scene: Scene, formation: KnownFormation, worker: str) -> bool:
    """Whether the worker itself says that its program has started anew since: its own supervisor saw
    the old one end, so the group counts without it."""
    pod, part = scene.pods.get(formation.members[worker]), scene.hearing.training(worker)
    then = formation.incarnations.get(worker)
    same_pod = pod is not None and pod.uid == scene.records[worker].pod_uid
    return bool(same_pod and then and part and part.incarnation and part.incarnation != then)


def _idle(scene: Scene, worker: str) -> bool:
    part = scene.hearing.training(worker)
    return part is not None and part.state in IDLE


def _from(scene: Scene, formation: KnownFormation, survivors: list[str]) -> NewLineage:
    gone = len(formation.members) - len(survivors)
    what = f"{gone} of the {len(formation.members)} workers of formation {formation.number} have ended"
    if survivors and formation.number:
        source = max(sorted(survivors), key=scene.hearing.step)
        step = scene.hearing.step(source)
        lost = max(formation.step - step, 0)
        node = scene.records[source].node
        return NewLineage(
            source, step, f"{what}; going on from step {step} of {node}, {lost} known steps lost"
        )
    durable = scene.stored.durable_step if _durable_is_left(scene) else None
    if durable is None:
        text = f"{what}, and no checkpoint known to be durable is left: going on from the newest one found"
        return NewLineage("", None, text)
    lost = max(formation.step - durable, 0)
    return NewLineage(
        "", durable, f"{what}; going on from the checkpoint of step {durable}, {lost} known steps lost"
    )


def _durable_is_left(scene: Scene) -> bool:
    """Whether a holder of the durable checkpoint may still have it: workers asked to start from one that
    is nowhere would wait for ever."""
    kept = scene.seen.job.spec.storage.checkpoint is not None
    held_by = [scene.records[w] for w in scene.stored.durable_on if w in scene.records]
    if kept:
        return any(r.node in scene.seen.nodes and not r.left_out for r in held_by)
    # On the pods' own disks: gone with the pods, but not with their containers.
    uids = {m.worker: m.pod_uid for m in scene.members}
    return any((uid := uids.get(w)) is not None and uid in scene.pods for w in scene.stored.durable_on)
