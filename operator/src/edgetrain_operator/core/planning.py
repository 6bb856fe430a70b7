"""The next plan: members, lineage, aggregator, reduction, payload, phase, in this order.

A plan gets a new revision only where its content differs; what reports change all the time (rates,
steps) enters it through decisions with memory alone.
"""

from collections.abc import Iterable
from dataclasses import dataclass
from statistics import median_low

from edgetrain_operator.core import election, payload, reduction, stall
from edgetrain_operator.core.context import DecisionContext
from edgetrain_operator.core.durability import with_durable
from edgetrain_operator.core.lineage import NewLineage, branched, known_formation, new_lineage
from edgetrain_operator.core.membership import (
    LOST_SECONDS,
    REJOIN_SECONDS,
    Membership,
    may_rejoin_at,
    membership,
)
from edgetrain_operator.core.model import Event
from edgetrain_operator.core.program_pin import with_program
from edgetrain_operator.core.stored import AggregatorTenure, KnownFormation, StoredPlan, WorkerRecord
from edgetrain_protocol.plan import Group, Member, Phase, Plan
from edgetrain_protocol.strategy import Reduction

GROUP = "all"
"""The one group of a job of one tier."""
FIRST_PLAN_SECONDS = 10.0
"""From the first ready worker to a plan without those not ready: each later one costs a re-forming."""


@dataclass(frozen=True)
class Exchange:
    """How a group sums."""

    reduction: Reduction
    packing: payload.Choice


@dataclass(frozen=True)
class Planned:
    stored: StoredPlan
    events: tuple[Event, ...] = ()
    requeue_at: tuple[float, ...] = ()


def plan_next(scene: DecisionContext, stop: bool) -> Planned:
    """Draw up the plan that follows from the scene; `stop`: the job is suspended or over."""
    if stop:
        return _stopping(scene)
    found = membership(scene)
    stored = _remember(scene, found)
    wait = _wait_for_first(scene, stored, found)
    if wait is not None:
        found = Membership((), (), found.left)
    if scene.plan is None and not found.members:
        return Planned(stored, requeue_at=tuple(_timers(scene, found, wait)))
    formation, resort = known_formation(scene), stall.resort(scene)
    renewal = _renewal(scene, found, formation, resort)
    if renewal:
        formation = None
        stored = stored.model_copy(update={"branches": branched(stored, scene.lineage, renewal)})
    office, changed, look_again = _office(scene, found.members, formation, renewal)
    exchange = _exchange(scene, found.members, office)
    plan = _plan(scene, found.members, office, exchange, formation, renewal)
    if resort.nudge:
        plan = plan.model_copy(update={"nudge": plan.nudge + 1})
    stored = with_program(scene, with_durable(scene, stored))
    stored = stored.model_copy(update={"office": office, "formation": formation, "stall": resort.stall})
    stored = stored.model_copy(update={"plan": _revised(scene, plan, stored.durable_step)})
    events = _events(scene, found, office if changed else None, exchange, renewal)
    return Planned(stored, events, tuple(_timers(scene, found, look_again, wait)))


def _renewal(
    scene: DecisionContext, found: Membership, formation: KnownFormation | None, resort: stall.Resort
) -> NewLineage | None:
    """A new lineage, where one is due and can begin: its founders are named by a plan that says train."""
    here = [m.worker for m in found.members if scene.hearing.heard(m.worker)]
    if len(here) < scene.seen.job.spec.nodes.min:
        return None
    return new_lineage(scene, formation, here, forced=resort.renew)


def _stopping(scene: DecisionContext) -> Planned:
    stored = scene.stored.model_copy(update={"workers": dict(scene.records), "first_ready": 0.0})
    if scene.plan is None:
        return Planned(stored)
    stored = with_durable(scene, stored)
    plan = _revised(scene, scene.plan.model_copy(update={"phase": Phase.STOP}), stored.durable_step)
    return Planned(stored.model_copy(update={"plan": plan, "formation": known_formation(scene)}))


def _remember(scene: DecisionContext, found: Membership) -> StoredPlan:
    """The bookkeeping of this decision: times of what was seen for the first time, gone when it ended."""
    records = {w: _silence_noted(scene, w, record) for w, record in scene.records.items()}
    for worker in found.left:
        if worker in records:
            left = {"left_at": scene.now, "left_before": records[worker].left_at}
            records[worker] = records[worker].model_copy(update=left)
    members = {m.worker for m in found.members}
    lost = {w: scene.stored.lost.get(w, scene.now) for w in scene.hearing.put_out if w in members}
    waits = bool(found.members) and not scene.members
    first = (scene.stored.first_ready or scene.now) if waits else 0.0
    return scene.stored.model_copy(update={"workers": records, "lost": lost, "first_ready": first})


def _silence_noted(scene: DecisionContext, worker: str, record: WorkerRecord) -> WorkerRecord:
    silence = scene.hearing.silence(worker)
    if scene.hearing.heard(worker):
        return record.model_copy(update={"silent_since": 0.0}) if record.silent_since else record
    # A pod whose supervisor never reported is not silent: it may be starting; its profiler is heard first.
    known = record.sighted.heard or (worker, record.pod_uid) in {(m.worker, m.pod_uid) for m in scene.members}
    if known and silence > 0 and not record.silent_since:
        return record.model_copy(update={"silent_since": scene.now - silence})
    return record


def _wait_for_first(scene: DecisionContext, stored: StoredPlan, found: Membership) -> float | None:
    """Until when a plan without members waits for more workers; None where it need not."""
    if scene.members or not found.members:
        return None
    if len(found.members) < scene.seen.job.spec.nodes.min:
        return scene.now + FIRST_PLAN_SECONDS
    ready = {m.node for m in found.members}
    coming = {n for n in scene.placement.wanted - ready if (v := scene.seen.nodes.get(n)) and v.ready}
    due = stored.first_ready + FIRST_PLAN_SECONDS
    return due if coming and scene.now < due else None


def _office(
    scene: DecisionContext,
    members: tuple[Member, ...],
    formation: KnownFormation | None,
    renewal: NewLineage | None,
) -> tuple[AggregatorTenure | None, bool, float | None]:
    workers = [m.worker for m in members]
    if not workers:
        return scene.stored.office, False, None
    if renewal:
        workers = [w for w in workers if scene.hearing.heard(w)]
    source = renewal.origin.worker if renewal and renewal.origin else ""
    if source in workers:
        # The others take the aggregator's parameters when a lineage begins: so its source leads at first.
        workers = [source]
    elif formation:
        workers = [w for w in workers if w in formation.members] or workers
    acting = formation.aggregator if formation else ""
    # Who is heard, but out of its group, does not lead: whom the group put in its place does.
    workers = [w for w in workers if w == acting or w not in scene.hearing.put_out] or workers
    nodes = {m.worker: m.node for m in members}
    ballot = election.Ballot(workers, nodes, scene.seen.rates, scene.stored.office, acting, scene.now)
    result = election.elect(ballot)
    return result.office, result.changed, result.look_again_at


def _plan(
    scene: DecisionContext,
    members: tuple[Member, ...],
    office: AggregatorTenure | None,
    exchange: Exchange | None,
    formation: KnownFormation | None,
    renewal: NewLineage | None,
) -> Plan:
    spec, before = scene.seen.job.spec, scene.plan
    phase = _phase(scene, members, formation)
    groups = (_group(scene, members, office, exchange, formation),) if office and exchange else ()
    same = before is not None and renewal is None
    return Plan(
        job_uid=scene.seen.job.uid,
        lineage=scene.lineage + (1 if renewal else 0),
        origin=renewal.origin if renewal else (before.origin if before else None),
        revision=before.revision if before else 1,
        founders=before.founders if before and same and before.founders else _founders(scene, phase, groups),
        begun=renewal is None and (scene.hearing.committed or (before is not None and before.begun)),
        phase=phase,
        groups=groups,
        shares=spec.strategy.shares,
        checkpoint_every_seconds=spec.strategy.checkpoint_every_seconds,
        durable_step=before.durable_step if before else None,
        nudge=before.nudge if before else 0,
    )


def _founders(scene: DecisionContext, phase: Phase, groups: tuple[Group, ...]) -> tuple[str, ...]:
    """Fixed with the first plan of a lineage that says train; the aggregator first: it breaks a tie. Members
    that are dark come in later: the others would wait for their votes."""
    if phase is not Phase.TRAIN:
        return ()
    pods = {m.worker: m.pod_uid for group in groups for m in group.members}
    line = (worker for group in groups for worker in group.succession)
    return tuple(f"{worker}/{pods[worker]}" for worker in line if scene.hearing.heard(worker))


def _phase(scene: DecisionContext, members: tuple[Member, ...], formation: KnownFormation | None) -> Phase:
    if len(members) < scene.seen.job.spec.nodes.min:
        return Phase.WAIT
    # Newcomers among themselves would begin anew beside the state that the others still hold.
    strangers = formation is not None and not any(m.worker in formation.members for m in members)
    return Phase.WAIT if strangers else Phase.TRAIN


def _exchange(
    scene: DecisionContext, members: tuple[Member, ...], office: AggregatorTenure | None
) -> Exchange | None:
    """None where there is no group."""
    if not members or office is None:
        return None
    wish, rates = scene.seen.job.spec.strategy, scene.seen.rates
    before = scene.plan.groups[0] if scene.plan and scene.plan.groups else None
    workers = tuple(m.worker for m in members)
    parts = {worker: part for worker in workers if (part := scene.hearing.training(worker))}
    bytes_of_one = median_low([part.reduce_bytes for part in parts.values() if part.reduce_bytes] or [0])
    way = reduction.choose(
        wish.reduction, before.reduction if before else None, office.worker, workers, rates, bytes_of_one
    )
    group = payload.Group(way, office.worker, workers, rates, parts, bytes_of_one)
    return Exchange(way, payload.choose(wish.payload, before.payload if before else None, group))


def _group(
    scene: DecisionContext,
    members: tuple[Member, ...],
    office: AggregatorTenure,
    exchange: Exchange,
    formation: KnownFormation | None,
) -> Group:
    workers, rates = [m.worker for m in members], scene.seen.rates
    before = scene.plan.groups[0] if scene.plan and scene.plan.groups else None
    newcomers = [w for w in workers if w not in formation.members] if formation else []
    line = election.steady_succession(
        before.succession if before else ("",), office.worker, workers, rates, newcomers
    )
    term = (before.term + (before.aggregator != office.worker)) if before else 1
    return Group(
        name=GROUP,
        members=members,
        succession=line,
        term=term,
        reduction=exchange.reduction,
        payload=exchange.packing.payload,
    )


def _revised(scene: DecisionContext, plan: Plan, durable: int | None) -> Plan:
    """The plan under its number: the old one where nothing changed, else above all that was ever heard of."""
    seen, before = scene.seen, scene.plan
    heard = max(seen.heard_revision, seen.job.status.plan.revision)
    if before and before.revision >= heard and plan == before:
        return before
    highest = max(heard, before.revision if before else 0)
    return plan.model_copy(update={"revision": highest + 1, "durable_step": durable})


def _events(
    scene: DecisionContext,
    found: Membership,
    elected: AggregatorTenure | None,
    exchange: Exchange | None,
    renewal: NewLineage | None,
) -> tuple[Event, ...]:
    def node(worker: str) -> str:
        return scene.records[worker].node if worker in scene.records else worker

    events = [Event("Normal", "WorkerJoined", f"{node(w)} joined the plan") for w in found.joined]
    events += [
        Event("Warning", "WorkerLeft", f"{node(w)} left the plan: {why}") for w, why in found.left.items()
    ]
    if renewal:
        events.append(Event("Warning", "NewLineage", renewal.message))
    if elected:
        events.append(Event("Normal", "Elected", _elected_text(elected)))
    if exchange and exchange.packing.why:
        packed = f"gradients go as {exchange.packing.payload}: {exchange.packing.why}"
        events.append(Event("Normal", "PayloadChosen", packed))
    return tuple(events)


def _elected_text(office: AggregatorTenure) -> str:
    if not office.bits_per_second:
        return f"{office.node} aggregates: {office.reason}; no link is measured yet"
    text = f"{office.node} aggregates: {office.reason}; {office.bits_per_second / 1e6:.1f} Mbit/s"
    return text + (f", next best {office.runner_up_bits_per_second / 1e6:.1f}" if office.runner_up else "")


def _timers(scene: DecisionContext, found: Membership, *due: float | None) -> Iterable[float]:
    yield from (time for time in due if time is not None)
    if any(m.worker in scene.hearing.put_out for m in found.members):
        yield scene.now + LOST_SECONDS
    yield from (at for r in scene.records.values() if (at := may_rejoin_at(r)) > scene.now)
    if found.left:
        yield scene.now + REJOIN_SECONDS
