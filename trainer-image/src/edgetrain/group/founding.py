"""The first formation of a generation: nobody can vote for an older one. Pure decisions."""

from edgetrain.group.status import Stage, Status
from edgetrain.group.view import Invite, Move, Nothing, View

GATHER_SECONDS = 2.0
"""The longest that a first formation waits for all in the plan, once there are enough."""
INVITE_SECONDS = 10.0
"""A newcomer that has not caught up by then is told again."""


def found(view: View) -> Move:
    """No formation that we know of: the first of a generation, once enough of its founders are there."""
    plan = view.plan
    if not plan.train or plan.history != view.own.history:
        return Nothing(why="no plan to train")
    if view.own.base:
        return Nothing(why="the last formation is lost: waiting for the operator")
    started = started_in(view)
    if view.own not in started:
        return Nothing(why=_without_state(view))
    if (leader := _leader(view, started)) != view.me.worker:
        return Nothing(why=f"{leader} leads", waits_for=(leader,))
    return _found_with(view, started)


def started_in(view: View) -> list[Status]:
    return [s for s in _alike(view) if s.stage in (Stage.STARTED, Stage.CAUGHT_UP)]


def _without_state(view: View) -> str:
    origin = view.plan.origin
    if origin and origin.worker:
        return f"the state of step {origin.step} comes from {origin.worker}"
    return "the program has no state yet"


def _leader(view: View, started: list[Status]) -> str:
    """The first in line who hears enough of the founders; the first at all where nobody does."""
    line = view.plan.in_line(frozenset(s.pod.worker for s in started))
    able = (w for w in line if _hears_enough(view, w, started))
    return next(able, line[0])


def _hears_enough(view: View, worker: str, started: list[Status]) -> bool:
    heard = {worker, *view.reach(worker)}
    return view.enough([s.member for s in started if s.member and s.pod.worker in heard])


def _alike(view: View) -> list[Status]:
    """Those of the plan who are heard, in its history, with a program like ours."""
    return [
        s
        for s in view.statuses.values()
        if s.history == view.plan.history
        and s.pod in view.plan.pods
        and s.member is not None
        and not s.hung
        and s.alike(view.own)
        and view.may_be_called(s.pod.worker)
    ]


def _found_with(view: View, started: list[Status]) -> Move:
    plan = view.plan
    beginning = _beginning(view, started)
    holders = [s for s in started if s.committed == beginning and s.member is not None]
    if not holders:
        return Nothing(why=f"nobody here holds the state of step {beginning}")
    if invite := _invitation(view, holders):
        return invite
    ready = [s.member for s in holders if s.member]
    if not view.enough(ready):
        missing = tuple(p.worker for p in plan.founders if p.worker not in {m.worker for m in ready})
        return Nothing(why="fewer than half of the founders are here", waits_for=missing)
    if len(ready) < len(plan.pods) and view.now < view.since + GATHER_SECONDS:
        return Nothing(view.since + GATHER_SECONDS, "waiting for the rest of the plan")
    return view.propose(ready, f"the first formation of {plan.history}")


def _beginning(view: View, started: list[Status]) -> int:
    """The step from which the generation begins.

    A state in memory may be of a later step than the operator had heard of: it moves while its donor lives,
    and stands still from when it was named. Who has taken it over stands where it does.
    """
    origin = view.plan.origin
    if origin is None or not origin.worker:
        return origin.step if origin else 0
    return max(origin.step, *(status.committed for status in started))


def _invitation(view: View, holders: list[Status]) -> Invite | None:
    """Who has no state, or another, fetches that from which the generation starts."""
    alone = not (view.plan.origin and view.plan.origin.worker)
    for status in _alike(view):
        at, _ = view.invited.get(status.pod.worker, (None, ""))
        begins = alone and status.stage is Stage.FRESH
        lacks = status not in holders and not begins
        if lacks and (at is None or view.now >= at + INVITE_SECONDS):
            donor = holders[0].member
            assert donor is not None
            return Invite(status.pod, donor)
    return None
