"""Who holds the log of rounds, and which groups take part: the part of the plan that says so.

A holder is a worker's disk, in one lineage. Once named it stays for as long as that may come back, whatever
others' links are: a log moves by entries, each of which takes a majority of who holds it.
"""

from collections.abc import Collection, Mapping, Sequence
from typing import Any

from edgetrain_operator.core.context import DecisionContext
from edgetrain_operator.core.council import SOME_GROUPS, how_many
from edgetrain_operator.core.grouping import in_rounds
from edgetrain_operator.core.rounds.disks import disks_left, hidden, present_holder, reached
from edgetrain_operator.core.rounds.settings import round_settings
from edgetrain_operator.core.stored_rounds import RoundsRecord
from edgetrain_protocol.job import JobSpec
from edgetrain_protocol.names import SITE_LABEL
from edgetrain_protocol.plan import Holder, Member, Rounds
from edgetrain_protocol.quorum import majority

MOST = 5
"""Holders that a plan may name."""
MEASURING_SECONDS = 20.0
"""From the first plan until holders are named though nobody was reached by another yet, or not all links are
measured. An aggregator, which moves when a better one shows, is waited for longer: here one disk has all work
meanwhile, and of three holders the slowest holds nobody up."""


def plan_rounds(scene: DecisionContext, known: RoundsRecord, members: Sequence[Member]) -> Rounds | None:
    """The next plan's. None where each group trains a model of its own, and before anybody could hold a log.

    Args:
        known: what was heard of the log, up to now.
        members: of the next plan, over all groups.
    """
    if not in_rounds(scene.seen.job.spec):
        return None
    before = _before(scene)
    groups = _groups(scene, before, members)
    left = _left(scene, known, before.holders if before else (), members)
    line = _filled(scene, known, left, members, _size(groups))
    if not line:
        # Nobody is left whom another could be named in place of: it stays as it is.
        return before.model_copy(update={"groups": groups}) if before else None
    return Rounds(
        local_steps=scene.seen.job.spec.strategy.local_steps,
        settings=round_settings(scene.seen.job.spec.strategy),
        holders=line,
        founder=_founder(scene, known, before, line),
        groups=groups,
    )


def awaits_holder(spec: JobSpec, rounds: Rounds | None) -> bool:
    """Whether groups may not train yet, since nobody is named to hold their log: each would train a model of
    its own."""
    return in_rounds(spec) and rounds is None


def why_no_holder(scene: DecisionContext, members: Collection[str]) -> str:
    """Of a job whose groups may not train yet for want of one."""
    if any(present_holder(scene, worker) for worker in members):
        limit = f"{MEASURING_SECONDS:g} s at most"
        return f"it is tried whom others reach, to hold the log of rounds: for {limit}"
    return (
        "no worker says on which disk it could keep the log of rounds: give them an image that is no older "
        "than the operator's"
    )


def _before(scene: DecisionContext) -> Rounds | None:
    return scene.plan.rounds if scene.plan else None


def _groups(
    scene: DecisionContext, before: Rounds | None, members: Sequence[Member]
) -> dict[str, tuple[str, ...]]:
    """Workers that are members or were, whose nodes have a place in the job: also while a pod is being
    replaced there, or is silent. Who never was one holds nobody up at the end."""
    known = {member.worker for member in members}.union(*(before.groups.values() if before else ()))
    found: dict[str, tuple[str, ...]] = {}
    for worker, record in sorted(scene.records.items()):
        wanted = worker in known and record.node in scene.placement.wanted
        if wanted and not scene.given_up(worker):
            found[record.group] = (*found.get(record.group, ()), worker)
    return found


def _size(groups: Mapping[str, Sequence[str]]) -> int:
    """How many are to hold the log. Where two sites have three workers between them, three can hold it."""
    return how_many(max(len(groups), min(sum(map(len, groups.values())), SOME_GROUPS)))


def _left(
    scene: DecisionContext, known: RoundsRecord, before: Sequence[Holder], members: Sequence[Member]
) -> list[Holder]:
    """Who stays, as it was; and who has come back with the log, in whose place another was named, and may
    never have got it. There may be more than are called for: nobody leaves for want of groups."""
    there = disks_left(scene)
    line = [_refreshed(scene, holder) for holder in before if holder.name in there]
    free = (m for m in members if _can_hold(scene, m) and m.worker not in {h.worker for h in line})
    line += [back for m in free if (back := _holder(scene, m.worker)).name in known.council]
    line = [holder for holder in line if not _let_go(scene, known, holder, line)]
    # Where there are too many, who has the log: nothing is merged without most of them.
    return sorted(line, key=lambda h: h.name not in known.council)[:MOST] if len(line) > MOST else line


def _let_go(scene: DecisionContext, known: RoundsRecord, holder: Holder, line: Sequence[Holder]) -> bool:
    """Whether a holder whom others cannot reach goes: once most of those who have the log are others who are
    heard, and can be. Before, it may be the only one who has it."""
    if not hidden(scene, holder.worker):
        return False
    rest = {h.name for h in line if not hidden(scene, h.worker) and scene.reports.heard(h.worker)}
    return bool(known.council) and majority(len(rest.intersection(known.council)), len(known.council))


def _filled(
    scene: DecisionContext,
    known: RoundsRecord,
    left: Sequence[Holder],
    members: Sequence[Member],
    size: int,
) -> tuple[Holder, ...]:
    """Behind those who are left, whoever is best placed of the others: across sites first, then by bandwidth,
    for which measurements are waited for where there is a choice. Nobody at all before it is known whom
    others reach, or that has taken too long."""
    line, taken = list(left), {holder.worker for holder in left}
    able = {m.worker for m in members if m.worker not in taken and _can_hold(scene, m)}
    free = {worker for worker in able if not hidden(scene, worker)}
    some_hidden = len(free) < len(able)
    if not line and (first := _first(scene, known, free or able, alone=len(members) == 1)):
        line, free = [_holder(scene, first)], free - {first}
    if some_hidden:
        # Of two both have to be there: one can be lost of neither.
        size = min(size, (len(line) + len(free) - 1) // 2 * 2 + 1)
    if len(free) > size - len(line) and not _measured(scene, known, free):
        size = min(size, 1)
    while line and len(line) < size and free:
        best = _best(scene, [holder.worker for holder in line], free)
        free.remove(best)
        line.append(_holder(scene, best))
    return tuple(line)


def _first(scene: DecisionContext, known: RoundsRecord, able: Collection[str], *, alone: bool) -> str:
    """Who begins the log, which only who reaches it can be told of; empty while that is not known of anybody.
    Where it never is, the job says so: somebody is named all the same, whose own group's work is merged."""
    found = [worker for worker in able if reached(scene, worker)]
    if not found and not alone and scene.now < known.since + MEASURING_SECONDS:
        return ""
    return _best(scene, (), found or able) if able else ""


def _holder(scene: DecisionContext, worker: str) -> Holder:
    """That its present pod can be, asked where that said last."""
    name, pod_uid = present_holder(scene, worker), scene.records[worker].pod_uid
    return Holder(name=name, worker=worker, pod_uid=pod_uid, **_address(scene, worker))


def _best(scene: DecisionContext, beside: Sequence[str], free: Collection[str]) -> str:
    sites = [_site(scene, worker) for worker in beside]
    # Before whom nobody has tried to reach: it may be behind NAT.
    order = {
        w: (not reached(scene, w), sites.count(_site(scene, w)), -_rate(scene, w), scene.node_of(w))
        for w in free
    }
    return min(order, key=lambda worker: order[worker])


def _measured(scene: DecisionContext, known: RoundsRecord, free: Collection[str]) -> bool:
    """Whether all links are, or have had their time: one that its own traffic fills may never be."""
    rates = scene.seen.rates
    complete = all(worker in rates and rates[worker].confirmed for worker in free)
    return complete or scene.now >= known.since + MEASURING_SECONDS


def _founder(
    scene: DecisionContext, known: RoundsRecord, before: Rounds | None, line: Sequence[Holder]
) -> str:
    """Who begins the log. Named once: two of them would begin two. Another is, where the disk of the first is
    gone and all whom it could have told of a log say that it has not. Empty where there is a log already, and
    no plan is left that says who began it."""
    first = line[0].name
    if known.begun:
        return before.founder if before else ""
    if before is None:
        return first
    there = {holder.name: holder.worker for holder in line}
    if before.founder in there:
        return before.founder
    told = [holder.worker for holder in before.holders if holder.name in there]
    return first if all(scene.reports.heard(worker) for worker in told) else before.founder


def _can_hold(scene: DecisionContext, member: Member) -> bool:
    """Whether this pod may be named now: it is there to stay, and heard."""
    pod, record = scene.pods.get(member.pod_uid), scene.records.get(member.worker)
    present = record is not None and record.pod_uid == member.pod_uid
    able = pod is not None and pod.living and bool(present_holder(scene, member.worker))
    return able and present and scene.reports.heard(member.worker)


def _refreshed(scene: DecisionContext, holder: Holder) -> Holder:
    """With its present pod and address: a pod's IP changes when its node starts again."""
    present = present_holder(scene, holder.worker) == holder.name
    return _holder(scene, holder.worker) if present else holder


def _address(scene: DecisionContext, worker: str) -> dict[str, Any]:
    stamped = scene.reports.report(worker)
    return {"address": stamped.head.address, "port": stamped.head.rounds_port} if stamped else {}


def _site(scene: DecisionContext, worker: str) -> str:
    record = scene.records.get(worker)
    node = scene.seen.nodes.get(record.node) if record else None
    return node.labels.get(SITE_LABEL, "") if node else ""


def _rate(scene: DecisionContext, worker: str) -> float:
    rate = scene.seen.rates.get(worker)
    return rate.bits_per_second if rate else 0.0
