"""Between whom data do not pass, or connections cannot be built, though all are heard. Pure."""

from collections import Counter

from edgetrain.group.members import Formation, Member
from edgetrain.group.status import Stage, Status
from edgetrain.group.view import View

Naming = tuple[str, str]
"""By whom, and who."""


def to_put_out(view: View, formation: Formation, present: list[Member]) -> str | None:
    """Whom to put out for that; nobody where the rest could not go on, or once more on the same evidence:
    when its time out is over, it is tried again."""
    victim = cut_off(view, formation)
    if victim in (None, view.me.worker) or (victim, formation.number) in view.judged:
        return None
    return victim if view.can_go_on([m for m in present if m.worker != victim]) else None


def cut_off(view: View, formation: Formation) -> str | None:
    """Who is heard, though no data pass, or no connection can be built, between it and others: named by most,
    then last in the line of succession."""
    named = stuck_pairs(view, formation) | _unreachable(view, formation)
    times = Counter(whom for _, whom in named)
    line = view.plan.in_line(frozenset(worker for naming in named for worker in naming))
    return max(line, key=lambda w: (times[w], line.index(w)), default=None)


def stuck_pairs(view: View, formation: Formation) -> frozenset[Naming]:
    """Each both ways round: whether data or their acknowledgement are lost, and at which end, is unknown."""
    here = _told(view, formation)
    named = {(by, whom) for by, status in here.items() for whom in here.keys() & status.stuck if whom != by}
    return frozenset(named | {(whom, by) for by, whom in named})


def is_named(view: View) -> bool:
    """Whether we are an end of such a pair."""
    pairs = stuck_pairs(view, view.formation) if view.formation else ()
    return any(view.me.worker in pair for pair in pairs)


def _unreachable(view: View, formation: Formation) -> frozenset[Naming]:
    """Not both ways round: who does not even say where it listens has nobody to name."""
    here = _told(view, formation)
    broken = {by: status for by, status in here.items() if status.stage is Stage.BROKEN}
    return frozenset(
        (by, whom) for by, status in broken.items() for whom in here.keys() & status.suspects if whom != by
    )


def _told(view: View, formation: Formation) -> dict[str, Status]:
    """What those who are there say of this formation, not of another."""
    fit = [view.statuses[m.worker] for m in formation.members if view.fit(m)]
    return {status.pod.worker: status for status in fit if status.formation == formation.number}
