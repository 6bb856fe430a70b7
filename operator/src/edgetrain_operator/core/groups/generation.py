"""Breaking a tie that a group cannot break: a new generation where its majority is gone for good.

Whose votes a group needs is the group's own rule, which its members report. Which of those are gone for
good is for the operator to say: a pod that is deleted or has ended, a program that has started anew. Where
too many are, the operator, and nobody else, starts a new history from the newest state that is left, and
says so. It is begun by a plan that says train and names its founders, and by no other.
"""

from collections.abc import Iterable, Sequence
from dataclasses import dataclass

from edgetrain_operator.core.context import GroupContext
from edgetrain_operator.core.groups.durability import holders
from edgetrain_operator.core.job_plan import GroupPlan
from edgetrain_operator.core.report_view import agreed
from edgetrain_operator.core.resuming import may_come_back
from edgetrain_operator.core.stored import Branch, GroupRecord, KnownFormation
from edgetrain_protocol import quorum
from edgetrain_protocol.history import History
from edgetrain_protocol.plan import Origin
from edgetrain_protocol.report import Checkpoint, Quorum, TrainingPart, Voter


@dataclass(frozen=True)
class NewGeneration:
    origin: Origin | None
    """None: nothing is left, and it starts from the program's own beginning."""
    message: str
    """For the Event: why, from where, what was lost."""

    @property
    def step(self) -> int:
        return self.origin.step if self.origin else 0


def known_formation(scene: GroupContext) -> KnownFormation | None:
    """The newest formation heard of, remembered over take-overs and silence."""
    known, heard = scene.stored.formation, scene.reports.formation
    if heard is not None and (known is None or heard.number > known.number):
        uids = {m.worker: m.pod_uid for m in scene.members} | {w: r.pod_uid for w, r in scene.records.items()}
        known = KnownFormation(
            number=heard.number,
            aggregator=heard.aggregator,
            members={worker: uids.get(worker, "") for worker in heard.members},
        )
    if known is None:
        return None
    said = {w: i for w, i in scene.reports.incarnations.items() if w in known.members}
    known = known.model_copy(update={"incarnations": known.incarnations | said})
    newest = scene.reports.common_knowledge
    if newest is None or newest.rank < (known.base, _highest(known.counted)):
        return known
    return known.model_copy(update={"base": newest.base, "counted": newest.counted})


def new_generation(
    scene: GroupContext, formation: KnownFormation | None, members: Sequence[str], forced: str = ""
) -> NewGeneration | None:
    """Whether history must start anew, and from what. `members`: who would be in it; `forced`: why it
    must in any case."""
    why = forced or why_lost(scene, formation)
    if not why or not members or _awaited_keepers(scene, members):
        return None
    origin = _newest_state(scene, members)
    if origin is None and _unread_store(scene, members):
        return None
    return NewGeneration(origin, f"{why}; {_from_where(scene, origin)}")


def why_lost(scene: GroupContext, formation: KnownFormation | None) -> str:
    """Why this generation can never go on; empty where it can, for all that is known."""
    if scene.plan is None or not scene.plan.founders or scene.reports.trains:
        return ""
    if formation is None and (why := _origin_lost(scene, scene.plan)):
        return why
    views = [k.counted for k in scene.reports.knowledge]
    lost = [next((q for q in counted if not can_vote(scene, q)), None) for counted in views]
    return _why(scene, lost[0]) if lost and lost[0] and all(lost) else ""


def awaited(scene: GroupContext, formation: KnownFormation | None, members: Sequence[str]) -> str:
    """What is waited for, and why, where a lost generation is not followed by another yet; else empty.
    `members`: who would be in that."""
    why, durable = why_lost(scene, formation), scene.stored.durable
    if not why or not members:
        return ""
    keepers = _awaited_keepers(scene, members)
    if durable is None or not keepers:
        store = "" if _newest_state(scene, members) else _unread_store(scene, members)
        return (
            f"{why}; no worker has seen yet which checkpoints {store} holds: waiting for that"
            if store
            else ""
        )
    nodes = ", ".join(sorted(scene.node_of(worker) for worker in keepers)[:10])
    return (
        f"{why}; the newest durable checkpoint, of step {durable.step}, is on {nodes}: waiting for it to be "
        "heard, for spec.elastic.offlineGraceSeconds at most"
    )


def can_vote(scene: GroupContext, needed: Quorum) -> bool:
    """Whether those of its voters who are not gone for good can still decide."""
    counted = [v for v in needed.voters if not scene.reports.restarted(v)]
    left = [v for v in counted if not scene.over(v.worker, v.pod_uid)]
    leads = any(v.worker == needed.aggregator for v in left)
    return quorum.enough(len(counted), len(left), aggregator_here=leads)


def last_known_step(scene: GroupContext) -> int:
    """The highest step of this history that anybody is known to have committed."""
    before = scene.told_before
    told = before.progress.step if before and before.generation == scene.history.generation else 0
    history, furthest = scene.seen.furthest.get(scene.name, (scene.history, 0))
    steps = agreed(scene.reports.step(worker) for worker in scene.records)
    return max(told, furthest if history == scene.history else 0, steps)


def branched(stored: GroupRecord, left: History, renewal: NewGeneration) -> tuple[Branch, ...]:
    """The branches with the one at which `left` is left: all before it end for good where the next starts."""
    before = {branch.history: branch.step for branch in stored.branches}
    # Records of how the earlier ones ended may have been lost with the ConfigMap.
    known = {*before, *(left._replace(generation=g) for g in range(1, left.generation + 1))}
    ends = {history: min(before.get(history, renewal.step), renewal.step) for history in known}
    return tuple(Branch(**history._asdict(), step=step) for history, step in sorted(ends.items())[-1000:])


# --- whether it is lost


def _origin_lost(scene: GroupContext, plan: GroupPlan) -> str:
    """Before its first formation a generation is lost with the state that it starts from."""
    origin = plan.origin
    if origin is None or any(_holds(scene, part, origin) for part in scene.reports.parts.values()):
        return ""
    if origin.worker:
        uid = dict(f.split("/", 1) for f in plan.founders).get(origin.worker, "")
        voter = Voter(worker=origin.worker, pod_uid=uid, incarnation=origin.incarnation)
        lost = scene.over(origin.worker, uid) or scene.reports.restarted(voter)
        return f"the state of step {origin.step} is lost with its process" if lost else ""
    wanted = Checkpoint(**origin.history._asdict(), step=origin.step, digest=origin.digest)
    kept = [w for w in _keepers(scene, wanted) if _may_come_back(scene, w)]
    return "" if kept else f"nobody holds the checkpoint of step {origin.step} any more"


def _holds(scene: GroupContext, part: TrainingPart, origin: Origin) -> bool:
    """What is in memory may be of a later step than had been heard when it was named."""
    begins = part.step >= origin.step if origin.worker else part.step == origin.step
    return part.holds and part.history == scene.history and begins


def _why(scene: GroupContext, lost: Quorum) -> str:
    gone = [v for v in lost.voters if scene.reports.restarted(v) or scene.over(v.worker, v.pod_uid)]
    names = ", ".join(sorted(scene.node_of(v.worker) for v in gone)[:10])
    of = f"formation {lost.number}" if lost.number else "the founders"
    return f"too few of {of} can vote again: {names or 'all of them'} ended"


# --- what is left


def _awaited_keepers(scene: GroupContext, members: Sequence[str]) -> list[str]:
    """Who may come back with a newer durable state than all who are here have."""
    durable = scene.stored.durable
    if durable is None or not scene.stored.alive(durable):
        return []
    best = _newest_state(scene, members)
    if best and best.step >= durable.step:
        return []
    return [w for w in _keepers(scene, durable) if _may_come_back(scene, w)]


def _unread_store(scene: GroupContext, members: Iterable[str]) -> str:
    """The remote store that may hold a state of which nobody has told; empty where there is none."""
    checkpoint = scene.seen.job.spec.storage.checkpoint
    parts = (scene.reports.parts.get(worker) for worker in members)
    unread = checkpoint is not None and not any(part.store_read for part in parts if part)
    return (checkpoint.uri or "").partition("?")[0] if checkpoint and unread else ""


def _keepers(scene: GroupContext, checkpoint: Checkpoint) -> list[str]:
    """Who holds it, by their own word or, of those not heard since, as was noted."""
    said = {w for c, on in holders(scene).items() if _same(c, checkpoint) for w in on}
    durable = scene.stored.durable
    noted = scene.stored.durable_on if durable and _same(durable, checkpoint) else ()
    silent = {w for w in noted if scene.reports.training(w) is None or not scene.reports.ready(w)}
    return sorted(said | silent)


def _same(one: Checkpoint, other: Checkpoint) -> bool:
    return (one.history, one.step, one.digest) == (other.history, other.step, other.digest)


def _may_come_back(scene: GroupContext, worker: str) -> bool:
    """With its checkpoint: on a claim as long as there is the node, on the pod's own disk with the pod."""
    record = scene.records.get(worker)
    uids = {m.worker: m.pod_uid for m in scene.members}
    return record is not None and may_come_back(scene.job, worker, uids.get(worker, record.pod_uid))


def _newest_state(scene: GroupContext, members: Iterable[str]) -> Origin | None:
    """The furthest of what those hold, in memory or, of the history that counts, in checkpoints."""
    found: list[tuple[int, bool, Origin]] = []
    for worker in sorted(members):
        part = scene.reports.parts.get(worker)
        if part is None:
            continue
        if part.holds and part.history == scene.history:
            live = Origin(step=part.step, worker=worker, incarnation=part.incarnation)
            found.append((part.step, True, live))
        alive = [c for c in part.checkpoints if c.group == scene.name and scene.stored.alive(c)]
        found += [(c.step, False, _origin_at(c)) for c in alive]
    return max(found, key=lambda f: f[:2], default=(0, False, None))[2]


def _origin_at(checkpoint: Checkpoint) -> Origin:
    return Origin(**checkpoint.history._asdict(), step=checkpoint.step, digest=checkpoint.digest)


def _from_where(scene: GroupContext, origin: Origin | None) -> str:
    lost = f"{max(last_known_step(scene) - (origin.step if origin else 0), 0)} known steps lost"
    if origin is None and scene.job.stored.rounds.begun:
        return "going on from the newest version of the model, without what of its work is not in that"
    if origin is None:
        return f"no state is left anywhere: training begins anew, {lost}"
    if origin.worker:
        return f"going on from step {origin.step} of {scene.node_of(origin.worker)}, {lost}"
    return f"going on from the checkpoint of step {origin.step}, {lost}"


def _highest(counted: Iterable[Quorum]) -> int:
    return max((q.number for q in counted), default=0)
