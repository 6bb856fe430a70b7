"""A group's part of the next plan: its generation, aggregator, reduction, payload, in this order."""

from dataclasses import dataclass, replace
from statistics import median_low

from edgetrain_operator.core.actions import Event
from edgetrain_operator.core.context import GroupContext
from edgetrain_operator.core.groups import election, payload, reduction, stall
from edgetrain_operator.core.groups.durability import with_durable
from edgetrain_operator.core.groups.generation import (
    NewGeneration,
    branched,
    known_formation,
    new_generation,
)
from edgetrain_operator.core.groups.membership import (
    LOST_SECONDS,
    REJOIN_SECONDS,
    Membership,
    may_rejoin_at,
)
from edgetrain_operator.core.job_plan import GroupPlan
from edgetrain_operator.core.stored import AggregatorTenure, GroupRecord, KnownFormation
from edgetrain_protocol.plan import Group, Member
from edgetrain_protocol.strategy import Reduction


@dataclass(frozen=True)
class PlannedGroup:
    plan: GroupPlan
    stored: GroupRecord
    events: tuple[Event, ...] = ()
    requeue_at: tuple[float, ...] = ()


@dataclass(frozen=True)
class _Course:
    """What is settled about the group before its members are put into a line."""

    members: tuple[Member, ...]
    formation: KnownFormation | None
    renewal: NewGeneration | None


@dataclass(frozen=True)
class _Exchange:
    """How it sums."""

    reduction: Reduction
    packing: payload.Choice


def plan_group(scene: GroupContext, found: Membership, *, trains: bool, enough_heard: bool) -> PlannedGroup:
    """Draw up what follows from the scene for one group.

    Args:
        trains: the job has workers enough to train.
        enough_heard: and hears enough of them to begin anew what is lost.
    """
    formation, resort = known_formation(scene), stall.resort(scene)
    ended = scene.job.finished
    here = [m.worker for m in found.members if scene.reports.heard(m.worker) and m.worker not in ended]
    renewal = new_generation(scene, formation, here, forced=resort.renew) if enough_heard else None
    course = _Course(found.members, None if renewal else formation, renewal)
    stored = scene.stored.model_copy(update={"lost": _lost(scene, found)})
    if renewal:
        stored = stored.model_copy(update={"branches": branched(stored, scene.history, renewal)})
    elected = _elect(scene, course)
    office = elected.office if elected else scene.stored.office
    exchange = _exchange(scene, course, office) if course.members and office else None
    group = _group(scene, course, office, exchange) if office and exchange else None
    plan = _plan(scene, course, group, trains=trains)
    if resort.nudge:
        plan = plan.model_copy(update={"nudge": plan.nudge + 1})
    stored = with_durable(scene, stored)
    told = {"office": office, "formation": course.formation, "stall": resort.stall}
    return PlannedGroup(
        plan,
        stored.model_copy(update=told),
        _events(scene, found, office if elected and elected.changed else None, exchange, renewal),
        tuple(_timers(scene, found, elected)),
    )


def stopped_group(scene: GroupContext) -> PlannedGroup:
    """The same as it is, with what is worth remembering of it."""
    stored = with_durable(scene, scene.stored)
    return PlannedGroup(scene.plan_before, stored.model_copy(update={"formation": known_formation(scene)}))


def _lost(scene: GroupContext, found: Membership) -> dict[str, float]:
    members = {m.worker for m in found.members}
    return {w: scene.stored.lost.get(w, scene.now) for w in scene.reports.put_out if w in members}


def _elect(scene: GroupContext, course: _Course) -> election.Result | None:
    """None where nobody is there to lead."""
    workers, formation, renewal = [m.worker for m in course.members], course.formation, course.renewal
    if not workers:
        return None
    if renewal:
        workers = [w for w in workers if scene.reports.heard(w)]
    source = renewal.origin.worker if renewal and renewal.origin else ""
    if source in workers:
        # The others take the aggregator's parameters when a generation begins: so its source leads at first.
        workers = [source]
    elif formation:
        workers = [w for w in workers if w in formation.members] or workers
    acting = formation.aggregator if formation else ""
    # Who is heard, but out of its group, does not lead: whom the group put in its place does.
    workers = [w for w in workers if w == acting or w not in scene.reports.put_out] or workers
    nodes = {m.worker: m.node for m in course.members}
    ballot = election.Ballot(workers, nodes, scene.seen.rates, scene.stored.office, acting, scene.now)
    return election.elect(ballot)


def _plan(scene: GroupContext, course: _Course, group: Group | None, *, trains: bool) -> GroupPlan:
    before = scene.plan_before
    after = before.model_copy(update={"group": group, "waits": _waits(course)})
    if course.renewal:
        history = {"generation": before.generation + 1, "origin": course.renewal.origin}
        after = after.model_copy(update={**history, "founders": (), "begun": False})
    else:
        after = after.model_copy(update={"begun": before.begun or scene.reports.committed})
    founders = after.founders or (_founders(scene, group) if group and trains and not after.waits else ())
    return after.model_copy(update={"founders": founders})


def _waits(course: _Course) -> bool:
    """Newcomers among themselves would begin anew beside the state that the others still hold."""
    formation = course.formation
    return formation is not None and not any(m.worker in formation.members for m in course.members)


def _founders(scene: GroupContext, group: Group) -> tuple[str, ...]:
    """Fixed with the first plan of a generation that says train; the aggregator first: it breaks a tie.
    Members that are dark come in later: the others would wait for their votes."""
    pods = {m.worker: m.pod_uid for m in group.members}
    return tuple(f"{worker}/{pods[worker]}" for worker in group.succession if scene.reports.heard(worker))


def _exchange(scene: GroupContext, course: _Course, office: AggregatorTenure) -> _Exchange:
    wish, rates = scene.seen.job.spec.strategy, scene.seen.rates
    before = scene.plan.group if scene.plan else None
    workers = tuple(m.worker for m in course.members)
    parts = {worker: part for worker in workers if (part := scene.reports.training(worker))}
    bytes_of_one = median_low([part.reduce_bytes for part in parts.values() if part.reduce_bytes] or [0])
    way = reduction.choose(
        wish.reduction, before.reduction if before else None, office.worker, workers, rates, bytes_of_one
    )
    view = payload.ExchangeView(way, office.worker, workers, rates, parts, bytes_of_one)
    return _Exchange(way, payload.choose(wish.payload, before.payload if before else None, view))


def _group(scene: GroupContext, course: _Course, office: AggregatorTenure, exchange: _Exchange) -> Group:
    workers, rates = [m.worker for m in course.members], scene.seen.rates
    before, formation = scene.plan.group if scene.plan else None, course.formation
    newcomers = [w for w in workers if w not in formation.members] if formation else []
    line = election.steady_succession(
        before.succession if before else ("",), office.worker, workers, rates, newcomers
    )
    return Group(
        name=scene.name,
        members=course.members,
        succession=line,
        term=(before.term + (before.aggregator != office.worker)) if before else 1,
        reduction=exchange.reduction,
        payload=exchange.packing.payload,
    )


def _events(
    scene: GroupContext,
    found: Membership,
    elected: AggregatorTenure | None,
    exchange: _Exchange | None,
    renewal: NewGeneration | None,
) -> tuple[Event, ...]:
    node = scene.node_of
    events = [Event("Normal", "WorkerJoined", f"{node(w)} joined the plan") for w in found.joined]
    events += [
        Event("Warning", "WorkerLeft", f"{node(w)} left the plan: {why}") for w, why in found.left.items()
    ]
    if renewal:
        events.append(Event("Warning", "NewGeneration", renewal.message))
    if elected:
        events.append(Event("Normal", "Elected", _elected_text(elected)))
    if exchange and exchange.packing.why:
        packed = f"gradients go as {exchange.packing.payload}: {exchange.packing.why}"
        events.append(Event("Normal", "PayloadChosen", packed))
    return tuple(replace(event, message=scene.told_of(event.message)) for event in events)


def _elected_text(office: AggregatorTenure) -> str:
    if not office.bits_per_second:
        return f"{office.node} aggregates: {office.reason}; no link is measured yet"
    text = f"{office.node} aggregates: {office.reason}; {office.bits_per_second / 1e6:.1f} Mbit/s"
    return text + (f", next best {office.runner_up_bits_per_second / 1e6:.1f}" if office.runner_up else "")


def _timers(scene: GroupContext, found: Membership, elected: election.Result | None) -> list[float]:
    due = [elected.look_again_at] if elected and elected.look_again_at is not None else []
    if any(m.worker in scene.reports.put_out for m in found.members):
        due.append(scene.now + LOST_SECONDS)
    due += [at for record in scene.records.values() if (at := may_rejoin_at(record)) > scene.now]
    return [*due, scene.now + REJOIN_SECONDS] if found.left else due
