"""Where a pod stands among those whom it hears."""

from collections.abc import Collection

from edgetrain.group.members import Formation, Member
from edgetrain.group.record import Record
from edgetrain.group.status import Status
from edgetrain.group.view import View


def own_formation(
    record: Record, member: Member | None, last: int, others: Collection[Status]
) -> Formation | None:
    """The newest that our trainer is in, or would be if word of it had not been lost.

    `last`: number of the last formation that it was in.
    """
    known = [record.base, *(a.formation for a in record.accepted)]
    formed = {last, *(s.formation for s in others if s.lineage == record.lineage)}
    mine = [f for f in known if f.number in formed and member in f.members]
    return max(mine, key=lambda f: f.number, default=None)


def superseded(record: Record, formation: Formation | None, others: Collection[Status]) -> bool:
    """Whether others have gone on without us: they are in a formation that we have not voted for, or began
    without us, or with us before we forgot."""
    if record.stranger and record.base.founding:
        return True
    newest = formation.number if formation else 0
    return any(s.lineage == record.lineage and s.formation > newest for s in others)


def needed(view: View) -> list[tuple[Formation, tuple[Member, ...]]]:
    """What the next vote must have enough of, as far as is known: formations, with their living members."""
    present = [status.member for status in view.statuses.values() if status.member]
    found = sorted(view.doubtful(present), key=lambda formation: formation.number)
    return [(f, tuple(m for m in f.members if m not in view.ended)) for f in found]
