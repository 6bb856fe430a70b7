"""The next plan of a job: who is in which group, then each group's part, then the revision.

A plan gets a new revision only where its content differs; what reports change all the time (rates,
steps) enters it through decisions with memory alone.
"""

from collections.abc import Collection, Mapping
from dataclasses import dataclass
from itertools import chain

from edgetrain_operator.core import stop_conditions
from edgetrain_operator.core.actions import Event
from edgetrain_operator.core.context import DecisionContext
from edgetrain_operator.core.groups.membership import Membership, membership
from edgetrain_operator.core.groups.planning import PlannedGroup, plan_group, stopped_group
from edgetrain_operator.core.job_plan import GroupPlan, JobPlan
from edgetrain_operator.core.program_pin import with_program
from edgetrain_operator.core.rounds.hearing import record_kept, remembered
from edgetrain_operator.core.rounds.news import rounds_events
from edgetrain_operator.core.rounds.planning import awaits_holder, plan_rounds
from edgetrain_operator.core.stored import GroupRecord, StoredPlan, WorkerRecord
from edgetrain_protocol.history import ALL
from edgetrain_protocol.plan import HIGHEST_REVISION, Phase, Rounds

FIRST_PLAN_SECONDS = 10.0
"""From the first ready worker to a plan without those not ready: each later one costs a re-forming."""
HIGHEST_BELIEVED = HIGHEST_REVISION // 2
"""Of what is heard of revisions, where it is one's word alone: the plans after it need numbers too."""


@dataclass(frozen=True)
class Planned:
    stored: StoredPlan
    events: tuple[Event, ...] = ()
    requeue_at: tuple[float, ...] = ()


def plan_next(scene: DecisionContext, stop: bool) -> Planned:
    """Draw up the plan that follows from the scene; `stop`: the job is suspended or over."""
    if stop:
        return _stopping(scene)
    found = {group.name: membership(group) for group in scene.groups}
    stored = _remember(scene, found)
    wait = _wait_for_first(scene, stored, found)
    if wait is not None:
        found = {name: Membership((), (), of.left) for name, of in found.items()}
    members = {member.worker for of in found.values() for member in of.members}
    if scene.plan is None and not members:
        return Planned(stored, requeue_at=() if wait is None else (wait,))
    known = remembered(scene)
    rounds = plan_rounds(scene, known, [member for of in found.values() for member in of.members])
    trains = len(members) >= scene.seen.job.spec.nodes.min and not awaits_holder(scene.seen.job.spec, rounds)
    groups = _groups(scene, found, members, trains)
    met = _stop_condition(scene, groups)
    plan = _plan(scene, groups, members, rounds, trains=trains, finish=bool(met))
    stored = with_program(scene, stored)
    kept = {
        "plan": plan,
        "groups": _kept(groups),
        "stop_condition": met,
        "rounds": record_kept(known, rounds),
    }
    timers = chain(() if wait is None else (wait,), *(group.requeue_at for group in groups))
    news = met if met != scene.stored.stop_condition else ""
    said = (stop_conditions.events(news), rounds_events(scene, known, rounds))
    events = chain(*said, *(group.events for group in groups))
    return Planned(stored.model_copy(update=kept), tuple(events), tuple(timers))


def _groups(
    scene: DecisionContext, found: Mapping[str, Membership], members: Collection[str], trains: bool
) -> list[PlannedGroup]:
    least = scene.seen.job.spec.nodes.min
    heard = sum(scene.reports.heard(worker) or worker in scene.finished for worker in members)
    return [
        plan_group(group, found[group.name], trains=trains, enough_heard=heard >= least)
        for group in scene.groups
    ]


def _stop_condition(scene: DecisionContext, groups: Collection[PlannedGroup]) -> str:
    """Which one is met. None where all state is lost, and training begins anew: what was said of that state
    says nothing of the next one."""
    if any(_begins_anew(scene, group.plan) for group in groups):
        return ""
    return scene.stored.stop_condition or stop_conditions.newly_met(scene)


def _begins_anew(scene: DecisionContext, of: GroupPlan) -> bool:
    if scene.stored.rounds.begun:
        return False  # The model is in the log, whatever one group has lost.
    before = scene.plan.find(of.name) if scene.plan else None
    return before is not None and of.generation > before.generation and of.origin is None


def _kept(groups: Collection[PlannedGroup]) -> dict[str, GroupRecord]:
    return {group.plan.name: group.stored for group in groups}


def _stopping(scene: DecisionContext) -> Planned:
    stored = scene.stored.model_copy(update={"workers": dict(scene.records), "first_ready": 0.0})
    if scene.plan is None:
        return Planned(stored)
    groups = [stopped_group(group) for group in scene.groups]
    stop = {"phase": Phase.STOP, "groups": tuple(group.plan for group in groups)}
    plan = _revised(scene, scene.plan.model_copy(update=stop), groups)
    return Planned(stored.model_copy(update={"plan": plan, "groups": _kept(groups)}))


def _remember(scene: DecisionContext, found: Mapping[str, Membership]) -> StoredPlan:
    """The bookkeeping of this decision: times of what was seen for the first time, gone when it ended."""
    records = {w: _silence_noted(scene, w, record) for w, record in scene.records.items()}
    for worker in chain.from_iterable(of.left for of in found.values()):
        if worker in records:
            left = {"left_at": scene.now, "left_before": records[worker].left_at}
            records[worker] = records[worker].model_copy(update=left)
    waits = any(of.members for of in found.values()) and not scene.members
    first = (scene.stored.first_ready or scene.now) if waits else 0.0
    return scene.stored.model_copy(update={"workers": records, "first_ready": first})


def _silence_noted(scene: DecisionContext, worker: str, record: WorkerRecord) -> WorkerRecord:
    silence = scene.reports.silence(worker)
    if scene.reports.heard(worker):
        return record.model_copy(update={"silent_since": 0.0}) if record.silent_since else record
    # A pod whose supervisor never reported is not silent: it may be starting; its profiler is heard first.
    known = record.sighted.heard or (worker, record.pod_uid) in {(m.worker, m.pod_uid) for m in scene.members}
    if known and silence > 0 and not record.silent_since:
        return record.model_copy(update={"silent_since": scene.now - silence})
    return record


def _wait_for_first(
    scene: DecisionContext, stored: StoredPlan, found: Mapping[str, Membership]
) -> float | None:
    """Until when a plan without members waits for more workers; None where it need not."""
    members = [member for of in found.values() for member in of.members]
    if scene.members or not members:
        return None
    if len(members) < scene.seen.job.spec.nodes.min:
        return scene.now + FIRST_PLAN_SECONDS
    ready = {m.node for m in members}
    coming = {n for n in scene.placement.wanted - ready if (v := scene.seen.nodes.get(n)) and v.ready}
    due = stored.first_ready + FIRST_PLAN_SECONDS
    return due if coming and scene.now < due else None


def _plan(
    scene: DecisionContext,
    groups: Collection[PlannedGroup],
    members: Collection[str],
    rounds: Rounds | None,
    *,
    trains: bool,
    finish: bool,
) -> JobPlan:
    spec, before = scene.seen.job.spec, scene.plan
    plan = JobPlan(
        job_uid=scene.seen.job.uid,
        lineage=scene.lineage,
        revision=before.revision if before else 1,
        phase=Phase.TRAIN if trains else Phase.WAIT,
        finish=finish,
        groups=tuple(group.plan for group in groups),
        homes={w: r.group for w, r in scene.records.items() if r.group != ALL and w not in members},
        rounds=rounds,
        shares=spec.strategy.shares,
        checkpoint_every_seconds=spec.strategy.checkpoint_every_seconds,
    )
    return _revised(scene, plan, groups)


def _revised(scene: DecisionContext, plan: JobPlan, groups: Collection[PlannedGroup]) -> JobPlan:
    """The plan under its number: the old one where nothing changed, else above all that was ever heard of.
    What has become durable meanwhile goes along with the next one, and makes none by itself."""
    seen, before = scene.seen, scene.plan
    heard = min(max(seen.heard_revision, seen.job.status.plan.revision), HIGHEST_BELIEVED)
    if before and before.revision >= heard and plan == before:
        return before
    highest = max(heard, before.revision if before else 0)
    durable = {group.plan.name: group.stored.durable_step for group in groups}
    parts = tuple(of.model_copy(update={"durable_step": durable[of.name]}) for of in plan.groups)
    return plan.model_copy(update={"revision": highest + 1, "groups": parts})
