"""Votes in groups that a pod has left: should it come back to one, what it has promised there binds it."""

from collections.abc import Iterable

from edgetrain.group.effects import Announce, Effect, SetAside
from edgetrain.group.members import Formation, Member, Pod
from edgetrain.group.record import Record
from edgetrain.group.status import PlanView


class SetAsideRecords:
    """Of one pod, the newest of each group that it was in before."""

    def __init__(self, records: Iterable[Record]) -> None:
        self._records = {record.history.group: record for record in records}

    def but(self, *groups: str) -> list[Record]:
        """Those of all groups but these."""
        return [record for name, record in self._records.items() if name not in groups]

    def enter(
        self, pod: Pod, plan: PlanView, before: Record | None, member: Member | None
    ) -> tuple[Record, list[Effect]]:
        """The record with which a pod goes into the history of a plan that names its founders, and what is to
        be done first; `before`: the record that it had, `member`: its trainer.

        What a trainer holds is of no group any more once its pod is moved: for those whom it leaves it has
        ended, and to those to whom it comes it is nobody yet.
        """
        if before is None or before.history.group == plan.history.group:
            return self._begin(pod, plan, before), []
        left = before.end(member) if member else before
        self._records[left.history.group] = left
        return self._begin(pod, plan, left), [SetAside(left), Announce(left)]

    def _begin(self, pod: Pod, plan: PlanView, before: Record | None) -> Record:
        kept = self._records.get(plan.history.group)
        founders = tuple(Member(*founder, "") for founder in plan.founders)
        fresh = Record(pod, plan.history, Formation(0, founders, plan.founders[0].worker))
        record = kept if kept and kept.history == plan.history else fresh
        return record.with_ended(before.ended if before else ())
