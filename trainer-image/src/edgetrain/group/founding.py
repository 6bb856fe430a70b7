"""The first formation of a lineage: nobody can vote for an older one. Pure decisions."""

from edgetrain.group.status import Stage, Status
from edgetrain.group.view import Invite, Move, Nothing, View

GATHER_SECONDS = 2.0
"""The longest that a first formation waits for all in the plan, once there are enough."""
INVITE_SECONDS = 10.0
"""A newcomer that has not caught up by then is told again."""


def found(view: View) -> Move:
    """No formation that we know of: the first of a lineage, once enough of its founders are there."""
    plan = view.plan
    if not plan.train or plan.lineage != view.own.lineage:
        return Nothing(why="no plan to train")
    if view.own.base:
        return Nothing(why="the last formation is lost: waiting for the operator")
    started = started_in(view)
    if view.own not in started:
        return Nothing(why="the program has no state yet")
    line = plan.in_line(frozenset(s.pod.worker for s in started))
    if (plan.source if plan.source in line else line[0]) != view.me.worker:
        return Nothing(why="another leads")
    return _found_with(view, started)


def started_in(view: View) -> list[Status]:
    return [s for s in _lineage(view) if s.stage in (Stage.STARTED, Stage.CAUGHT_UP)]


def _lineage(view: View) -> list[Status]:
    """Those of the plan who are heard, in its lineage, with a program like ours."""
    return [
        s
        for s in view.statuses.values()
        if s.lineage == view.plan.lineage
        and s.pod in view.plan.pods
        and s.member is not None
        and not s.hung
        and s.alike(view.own)
        and view.barred.get(s.pod.worker, 0.0) <= view.now
    ]


def _found_with(view: View, started: list[Status]) -> Move:
    plan = view.plan
    furthest = max(s.committed for s in started)
    if plan.durable_step is not None and furthest < plan.durable_step:
        return Nothing(why=f"nobody here holds the checkpoint of step {plan.durable_step}")
    source = next(s for s in started if s.committed == furthest and s.member is not None)
    for status in _lineage(view):
        at, _ = view.invited.get(status.pod.worker, (None, ""))
        behind = status.committed < furthest if status in started else bool(plan.source)
        if behind and (at is None or view.now >= at + INVITE_SECONDS):
            assert source.member is not None
            return Invite(status.pod, source.member)
    ready = [s.member for s in started if s.committed == furthest and s.member]
    if not view.enough(ready):
        return Nothing(why="fewer than half of the founders are here")
    if len(ready) < len(plan.pods) and view.now < view.since + GATHER_SECONDS:
        return Nothing(view.since + GATHER_SECONDS, "waiting for the rest of the plan")
    return view.propose(ready, f"the first formation of lineage {plan.lineage}")
