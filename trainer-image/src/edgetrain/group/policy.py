"""What to do next, from what is seen: pure decisions, by the one who leads.

Nothing here is needed for safety: whoever calls whomever, the votes keep two formations from both
going on. This is about getting on: who calls, when, and whom.
"""

from collections.abc import Hashable

from edgetrain.group import lateness, links
from edgetrain.group.founding import INVITE_SECONDS, found, started_in
from edgetrain.group.members import Formation, Member
from edgetrain.group.rules import Rules
from edgetrain.group.status import Stage, Status
from edgetrain.group.view import AskReform, Invite, Move, Nothing, PutOut, View

CAUSE_SECONDS = 0.05
"""A group that broke waits so long to hear who is gone, before it is built again with everybody."""
BOUNDARY_SECONDS = 1.5
"""The longest that members stopped at a boundary wait for one another, and for newcomers to come up to it."""
LOOK_SECONDS = 0.5
"""Nothing is waited for longer without looking again: also what nobody is told of changes."""
JOIN_SECONDS = 1.0
"""Newcomers that have caught up wait so long for others that are on their way."""
REFORM_SECONDS = 5.0
NAMED_SECONDS = 1.5
"""Data do not pass between two: by then both have tried, beside, whether they pass to others."""
STARVED_SECONDS = 1.0
"""A newcomer to whom nothing comes from its donor is given so long before it is sent to the next."""


NO_DATA = "it is heard, but no data pass between it and others"


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
    if not view.can_go_on(present):
        return paused(view, formation, present)
    if late := lateness.waited_for(view, formation):
        return Nothing(why=lateness.told(view, late), waits_for=(late,))
    return Nothing(why=f"{leader(view, formation) or 'nobody'} leads")


def paused(view: View, formation: Formation, present: list[Member]) -> Nothing:
    # Not always of the last one: one before it that may have committed counts as well.
    short = min(view.short(present), key=lambda f: f.number, default=formation)
    here = len(set(present).intersection(short.members))
    text = f"paused: {here} of the {len(short.members)} members of formation {short.number} are no majority"
    return Nothing(why=text, waits_for=view.lacking(present))


def situation(view: View) -> Hashable:
    """What some patience is counted from: while this stays the same, the same is being waited for."""
    if view.formation is None:
        return "founding", len(started_in(view))
    stages = [_stage(view, m, view.formation) for m in view.formation.members if view.fit(m)]
    lost = len(stages) < len(view.formation.members)
    broken = lost or Stage.BROKEN in stages
    stuck = not broken and bool(links.stuck_pairs(view, view.formation))
    return view.formation.number, broken, not broken and Stage.STOPPED in stages, stuck


def leader(view: View, formation: Formation) -> str | None:
    """The first in the line of succession who is heard and hears enough of the formation. Who is to be put
    out, as its data do not pass, leads only where nobody else can."""
    members = {m.worker: m for m in formation.members}
    worst = links.cut_off(view, formation)
    for worker in sorted(view.plan.in_line(frozenset(members)), key=lambda w: w == worst):
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
    if not status.was_in(formation):
        # It has not heard yet that the formation is established, or it has left for another call.
        return Stage.BROKEN if status.closed > formation.number else Stage.FORMING
    return status.stage


def rebuild(
    view: View, formation: Formation, present: list[Member], lost: list[str], broken: list[str]
) -> Move:
    """The formation failed: go on with those who are left."""
    if not view.plan.train:
        return Nothing(why="the plan says wait")
    victim = links.to_put_out(view, formation, present)
    due = view.since + (NAMED_SECONDS if victim else CAUSE_SECONDS)
    if not lost and view.now < due:
        return Nothing(due, "somebody's group broke; who is gone is not known yet")
    if victim:
        return PutOut(victim, NO_DATA)
    wanted = [m for m in present if m.home in view.plan.pods] or present
    why = f"lost {', '.join(lost)}" if lost else f"broken at {', '.join(broken)}"
    for members in (wanted, present):
        if view.enough(members):
            return view.propose(members, why)
    if view.can_go_on(present):
        return view.propose(present, why, view.witnesses(present))
    return paused(view, formation, present)


def cross_boundary(view: View, formation: Formation, present: list[Member], stages: dict[str, Stage]) -> Move:
    """All have voted to stop: build the next formation, with the newcomers who are as far."""
    if not view.plan.train:
        return Nothing(why="the plan says wait")
    due = view.since + BOUNDARY_SECONDS
    if any(stage is not Stage.STOPPED for stage in stages.values()) and view.now < due:
        return Nothing(due, "members are on their way to the boundary")
    coming = [s for s in newcomers(view, formation) if has_come(s)]
    ready = [s.member for s in coming if s.committed == view.own.committed and s.member]
    if len(ready) < len(coming) and view.now < due:
        return Nothing(due, "newcomers are on their way to the boundary")
    wanted = [m for m in present if m.home in view.plan.pods]
    if not view.enough(wanted):
        wanted = present
    return view.propose([*wanted, *ready], "at a boundary")


def steady(view: View, formation: Formation, present: list[Member], stages: dict[str, Stage]) -> Move:
    """All are in: let newcomers come, follow the plan, put out who holds all others up."""
    if late := lateness.latecomer(view, formation):
        others = [m for m in present if m.worker != late]
        if view.can_go_on(others):
            return PutOut(late, lateness.told(view, late))
        text = f"{lateness.told(view, late)}, and without it the others are no majority"
        return Nothing(why=text, waits_for=(late,))
    if victim := links.to_put_out(view, formation, present):
        if view.now < view.since + NAMED_SECONDS:
            due = view.since + NAMED_SECONDS
            return Nothing(due, "data do not pass; who else is concerned is not known yet")
        return PutOut(victim, NO_DATA)
    if any(stage is not Stage.TRAINING for stage in stages.values()):
        return Nothing(view.now + lateness.LATE_SECONDS, "the formation is being built")
    if move := invitation(view, formation):
        return move
    asked = view.reform_asked is not None and view.now < view.reform_asked + REFORM_SECONDS
    if not asked and (why := due_change(view, formation)):
        return AskReform(why)
    if slow := lateness.waited_for(view, formation):
        return Nothing(why=lateness.told(view, slow), waits_for=(slow,))
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
        and s.alike(view.own)
        and not s.hung
        and not s.finished
        and s.history == view.plan.history
        and pod.worker not in view.lagging
        and view.may_be_called(pod.worker)
    ]


def has_come(newcomer: Status) -> bool:
    """It follows its donor, and knows of a formation that has committed. Who was asked in before the first
    one did learns of it by being asked again: until then it would refuse every call as a stranger."""
    return newcomer.stage is Stage.CAUGHT_UP and newcomer.base > 0


def invitation(view: View, formation: Formation) -> Invite | None:
    if view.own.base != formation.number or not view.plan.train:
        return None
    here = {m.worker for m in formation.members}
    for status in newcomers(view, formation):
        at, donor = view.invited.get(status.pod.worker, (None, ""))
        coming = has_come(status) or (at is not None and view.now < at + INVITE_SECONDS)
        starved = donor in status.stuck and at is not None and view.now >= at + STARVED_SECONDS
        if not coming or donor not in here or starved:
            return Invite(status.pod, donor_of(view, formation, donor, starved))
    return None


def donor_of(view: View, formation: Formation, last: str, starved: bool) -> Member:
    """The second in the line of succession: a good link, and leading is work enough for the first. Who has a
    donor keeps it, and goes to the next in the line where nothing comes from it."""
    line = view.plan.in_line(frozenset(m.worker for m in formation.members))
    place = line.index(last) + starved if last in line else 1
    donor = line[place % len(line)]
    return next(m for m in formation.members if m.worker == donor)


def due_change(view: View, formation: Formation) -> str:
    """Why the group should stop at the next boundary, or empty."""
    plan = view.plan
    if not plan.train:
        return "the plan says wait"
    others = newcomers(view, formation)
    ready = [s for s in others if has_come(s)]
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
