"""What to do next, from what is seen: pure decisions, by the one who leads.

Nothing here is needed for safety: whoever calls whomever, the votes keep two formations from both
going on. This is about getting on: who calls, when, and whom.
"""

from collections.abc import Hashable

from edgetrain.group.founding import INVITE_SECONDS, found, started_in
from edgetrain.group.members import Formation, Member
from edgetrain.group.rules import Rules
from edgetrain.group.status import Stage, Status
from edgetrain.group.view import AskReform, Invite, Move, Nothing, PutOut, View

CAUSE_SECONDS = 0.05
"""A group that broke waits so long to hear who is gone, before it is built again with everybody."""
BOUNDARY_SECONDS = 1.5
"""The longest that members stopped at a boundary wait for one another, and for newcomers to come up to it."""
LATE_SECONDS = 2.0
LATE_STEPS = 5.0
"""Alive but late: all others wait for it longer than both, and than so many of its own usual steps."""
LOOK_SECONDS = 0.5
"""Nothing is waited for longer without looking again: also what nobody is told of changes."""
COLD_SECONDS = 60.0
"""As long as nobody knows how long its steps take."""
JOIN_SECONDS = 1.0
"""Newcomers that have caught up wait so long for others that are on their way."""
REFORM_SECONDS = 5.0


def decide(view: View) -> Move:
    """The next move of this supervisor."""
    if view.own.member is None:
        return Nothing(why="no trainer is ready")
    if view.superseded:
        return Nothing(why="others have gone on without us: waiting to be asked in")
    if view.formation is None:
        return found(view)
    return lead(view, view.formation) if leads(view, view.formation) else follow(view, view.formation)


def leads(view: View, formation: Formation) -> bool:
    return leader(view, formation) == view.me.worker


def follow(view: View, formation: Formation) -> Nothing:
    """Another leads, or nobody can: what is waited for, in words."""
    present = [m for m in formation.members if view.fit(m)]
    if not view.enough(present):
        return paused(view, formation, present)
    if late := waited_for(view, formation):
        return Nothing(why=_late(view, late), waits_for=(late,))
    return Nothing(why=f"{leader(view, formation) or 'nobody'} leads")


def paused(view: View, formation: Formation, present: list[Member]) -> Nothing:
    text = f"paused: {len(present)} of {len(formation.members)} members are no majority"
    return Nothing(why=text, waits_for=view.lacking(present))


def situation(view: View) -> Hashable:
    """What some patience is counted from: while this stays the same, the same is being waited for."""
    if view.formation is None:
        return "founding", len(started_in(view))
    stages = [_stage(view, m, view.formation) for m in view.formation.members if view.fit(m)]
    lost = len(stages) < len(view.formation.members)
    broken = lost or Stage.BROKEN in stages
    return view.formation.number, broken, not broken and Stage.STOPPED in stages


def leader(view: View, formation: Formation) -> str | None:
    """The first in the line of succession who is heard and hears enough of the formation."""
    members = {m.worker: m for m in formation.members}
    for worker in view.plan.in_line(frozenset(members)):
        able = view.fit(members[worker]) and _hears_enough(view, worker, formation)
        if able and trusted(view, worker, formation):
            return worker
    return None


def trusted(view: View, worker: str, formation: Formation) -> bool:
    """Whether it may lead: not where most of the others here find that it keeps all of them waiting."""
    others = [m.worker for m in formation.members if m.worker != worker and view.fit(m)]
    doubting = [other for other in others if worker in view.statuses[other].doubts]
    return 2 * len(doubting) <= len(others)


def _hears_enough(view: View, worker: str, formation: Formation) -> bool:
    heard = {worker, *view.reach(worker)}
    present = frozenset(m for m in formation.members if m.worker in heard and m not in view.ended)
    return Rules().enough(formation, present, view.ended)


def lead(view: View, formation: Formation) -> Move:
    present = [m for m in formation.members if view.fit(m)]
    stages = {m.worker: _stage(view, m, formation) for m in present}
    if all(view.statuses[m.worker].finished for m in present):
        return Nothing(why="all have finished")
    broken = [w for w, stage in stages.items() if stage is Stage.BROKEN]
    lost = [m.worker for m in formation.members if m not in present]
    if lost or broken:
        return rebuild(view, formation, present, lost, broken)
    if Stage.STOPPED in stages.values():
        return cross_boundary(view, formation, present, stages)
    return steady(view, formation, present, stages)


def _stage(view: View, member: Member, formation: Formation) -> Stage:
    """Where a member stands as to this formation."""
    status = view.statuses[member.worker]
    if status.formation != formation.number:
        # It has not heard yet that the formation is established, or it has left for another call.
        return Stage.BROKEN if status.closed > formation.number else Stage.FORMING
    return status.stage


def rebuild(
    view: View, formation: Formation, present: list[Member], lost: list[str], broken: list[str]
) -> Move:
    """The formation failed: go on with those who are left."""
    if not view.plan.train:
        return Nothing(why="the plan says wait")
    if not lost and view.now < view.since + CAUSE_SECONDS:
        return Nothing(view.since + CAUSE_SECONDS, "somebody's group broke; who is gone is not known yet")
    if victim := unreachable(view, formation, present):
        return PutOut(victim, "its connections to other members cannot be built")
    wanted = [m for m in present if m.home in view.plan.pods] or present
    why = f"lost {', '.join(lost)}" if lost else f"broken at {', '.join(broken)}"
    for members in (wanted, present):
        if view.enough(members):
            return view.propose(members, why)
    return paused(view, formation, present)


def unreachable(view: View, formation: Formation, present: list[Member]) -> str | None:
    """One end of a pair that cannot connect: named by most, then last in the line of succession."""
    here = {m.worker for m in present}
    named: dict[str, int] = {}
    for worker in here:
        status = view.statuses[worker]
        if status.stage is Stage.BROKEN and status.formation == formation.number:
            for suspect in here.intersection(status.suspects) - {worker}:
                named[suspect] = named.get(suspect, 0) + 1
                named.setdefault(worker, 0)
    line = view.plan.in_line(frozenset(named) - {view.me.worker})
    return max(line, key=lambda w: (named[w], line.index(w)), default=None)


def cross_boundary(view: View, formation: Formation, present: list[Member], stages: dict[str, Stage]) -> Move:
    """All have voted to stop: build the next formation, with the newcomers who are as far."""
    if not view.plan.train:
        return Nothing(why="the plan says wait")
    due = view.since + BOUNDARY_SECONDS
    if any(stage is not Stage.STOPPED for stage in stages.values()) and view.now < due:
        return Nothing(due, "members are on their way to the boundary")
    coming = [s for s in newcomers(view, formation) if s.stage is Stage.CAUGHT_UP]
    ready = [s.member for s in coming if s.committed == view.own.committed and s.member]
    if len(ready) < len(coming) and view.now < due:
        return Nothing(due, "newcomers are on their way to the boundary")
    wanted = [m for m in present if m.home in view.plan.pods]
    if not view.enough(wanted):
        wanted = present
    return view.propose([*wanted, *ready], "at a boundary")


def steady(view: View, formation: Formation, present: list[Member], stages: dict[str, Stage]) -> Move:
    """All are in: let newcomers come, follow the plan, put out who holds all others up."""
    if late := latecomer(view, formation):
        others = [m for m in present if m.worker != late]
        if view.enough(others):
            return PutOut(late, _late(view, late))
        text = f"{_late(view, late)}, and without it the others are no majority"
        return Nothing(why=text, waits_for=(late,))
    if any(stage is not Stage.TRAINING for stage in stages.values()):
        return Nothing(view.now + LATE_SECONDS, "the formation is being built")
    if move := invitation(view, formation):
        return move
    asked = view.reform_asked is not None and view.now < view.reform_asked + REFORM_SECONDS
    if not asked and (why := due_change(view, formation)):
        return AskReform(why)
    if slow := waited_for(view, formation):
        return Nothing(why=_late(view, slow), waits_for=(slow,))
    return Nothing(why="training")


def newcomers(view: View, formation: Formation) -> list[Status]:
    """Heard, wanted by the plan, with a program like ours, and not in."""
    return [
        s
        for pod in view.plan.pods
        if (s := view.statuses.get(pod.worker)) is not None
        and s.pod == pod
        and s.member is not None
        and s.member not in formation.members
        and s.layout == view.own.layout
        and not s.hung
        and not s.finished
        and s.lineage == view.plan.lineage
        and pod.worker not in view.lagging
        and view.barred.get(pod.worker, 0.0) <= view.now
    ]


def invitation(view: View, formation: Formation) -> Invite | None:
    if view.own.base != formation.number or not view.plan.train:
        return None
    here = {m.worker for m in formation.members}
    for status in newcomers(view, formation):
        at, donor = view.invited.get(status.pod.worker, (None, ""))
        coming = status.stage is Stage.CAUGHT_UP or (at is not None and view.now < at + INVITE_SECONDS)
        if not coming or donor not in here:
            return Invite(status.pod, donor_of(view, formation))
    return None


def donor_of(view: View, formation: Formation) -> Member:
    """The next in the line of succession: a good link, and leading is work enough for the first."""
    line = view.plan.in_line(frozenset(m.worker for m in formation.members))
    donor = line[min(1, len(line) - 1)]
    return next(m for m in formation.members if m.worker == donor)


def due_change(view: View, formation: Formation) -> str:
    """Why the group should stop at the next boundary, or empty."""
    plan = view.plan
    if not plan.train:
        return "the plan says wait"
    others = newcomers(view, formation)
    ready = [s for s in others if s.stage is Stage.CAUGHT_UP]
    first = min((view.invited.get(s.pod.worker, (0.0, ""))[0] for s in ready), default=None)
    if first is not None and (len(ready) == len(others) or view.now >= first + JOIN_SECONDS):
        return f"{', '.join(s.pod.worker for s in ready)} may join"
    members = frozenset(m.worker for m in formation.members)
    if any(view.statuses[w].revision < plan.revision for w in members):
        return ""
    if any(m.home not in plan.pods for m in formation.members):
        return "the plan has let a member go"
    if plan.in_line(members)[0] != formation.aggregator:
        return "the plan has another aggregator"
    return "the plan has other terms" if plan.terms != formation.terms else ""


def waited_for(view: View, formation: Formation) -> str | None:
    """Who alone keeps all others waiting; never ourselves, who cannot tell."""
    paces = {m.worker: view.paces.get(m.worker) for m in formation.members}
    working = [w for w, p in paces.items() if p is None or p.formation != formation.number or not p.waiting]
    if len(working) != 1 or len(paces) < 2 or working[0] == view.me.worker:
        return None
    pace = paces[working[0]]
    return working[0] if pace is not None and pace.formation == formation.number else None


def latecomer(view: View, formation: Formation) -> str | None:
    """Who keeps all others waiting beyond a multiple of its own step time."""
    late = waited_for(view, formation)
    if late is None:
        return None
    usual = view.paces[late].usual
    patience = max(LATE_SECONDS, LATE_STEPS * usual) if usual else COLD_SECONDS
    return late if view.now >= _waits_since(view, formation, late) + patience else None


def _waits_since(view: View, formation: Formation, late: str) -> float:
    return max(view.paces[m.worker].since for m in formation.members if m.worker in view.paces)


def _late(view: View, late: str) -> str:
    away = view.now - view.paces[late].since
    # In tens: what is told changes with it.
    how_long = f"{away // 10 * 10:.0f} s" if away >= 10 else "some seconds"
    return f"all others wait for {late}, whose program has not come back for {how_long}"


def doubts(view: View) -> tuple[str, ...]:
    """Whom we find so late that it should not lead, and be put out."""
    formation = view.formation
    late = latecomer(view, formation) if formation and not view.superseded else None
    return (late,) if late else ()
