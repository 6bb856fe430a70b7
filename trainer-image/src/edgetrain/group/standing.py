"""Which formation a pod is in, judged by its own record and by those of the pods that it hears."""

from collections.abc import Collection

from edgetrain.group.members import Formation, Member
from edgetrain.group.record import Record
from edgetrain.group.rules import Rules
from edgetrain.group.status import Status
from edgetrain.group.view import View


def empty_formations(records: Collection[Record]) -> frozenset[Formation]:
    """Formations in which, by the word of one that was called into them, nothing was committed: who was told
    of one alone would wait in it for the others, and they for it."""
    known = {f for r in records for f in (r.base, *(a.formation for a in r.accepted))}
    return frozenset(formation for formation in known if Rules().void(formation, records))


def own_formation(
    record: Record,
    member: Member | None,
    last: int,
    others: Collection[Status],
    empty: Collection[Formation] = (),
) -> Formation | None:
    """The newest that our trainer is in, or would be if word of it had not been lost; none that is `empty`.

    `last`: number of the last formation that it was in.
    """
    known = [f for f in (record.base, *(a.formation for a in record.accepted)) if f not in empty]
    told = [s for s in others if s.history == record.history]
    formed = [record.base, *(a.formation for a in record.accepted if a.formed)]
    been = [f for f in formed if f.number <= last]
    mine = [f for f in known if member in f.members and (f in been or any(s.was_in(f) for s in told))]
    return max(mine, key=lambda f: f.number, default=None)


def superseded(
    record: Record,
    formation: Formation | None,
    others: Collection[Status],
    empty: Collection[Formation] = (),
) -> bool:
    """Whether others have gone on without us: they are in a formation that we have not voted for, and that
    is not `empty`, or began without us, or with us before we forgot."""
    if record.stranger and record.base.founding:
        return True
    newest = formation.number if formation else 0
    ahead = [s for s in others if s.history == record.history and s.formation > newest]
    return any(not any(s.was_in(f) for f in empty) for s in ahead)


def needed(view: View) -> list[tuple[Formation, tuple[Member, ...]]]:
    """What the next vote must have enough of, as far as is known: formations, with their living members."""
    present = [status.member for status in view.statuses.values() if status.member]
    found = sorted(view.doubtful(present), key=lambda formation: formation.number)
    return [(f, tuple(m for m in f.members if m not in view.ended)) for f in found]
