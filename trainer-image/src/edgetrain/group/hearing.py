"""Whose word counts in a group. Any pod of the job can connect, also one that was put out, and a newcomer
speaks before the plan that has it comes: what they say waits until then.
"""

from collections.abc import Collection, Iterable

from edgetrain.group.members import Pod
from edgetrain.group.record import Record
from edgetrain.group.shown_records import ShownRecords
from edgetrain.group.status import PlanView, Status
from edgetrain.group.trainer import OwnTrainer


class Hearing(OwnTrainer):
    """Keeps what others say of themselves."""

    def __init__(self, pod: Pod, record: Record | None, left: Iterable[Record] = ()) -> None:
        super().__init__(pod, record, left)
        self.statuses: dict[str, Status] = {}
        """Of those who are heard and whose word counts, by worker."""
        self._told: dict[str, Status] = {}
        """Of all who are heard."""
        self._shown = ShownRecords()
        self._unheard: dict[tuple[Pod, str], Record] = {}
        """Of those whose word does not count yet, for each group in which they have voted."""

    def concerns(self, pod: Pod) -> bool:
        """Whether what this pod says counts."""
        if self.plan and pod in self.plan.pods:
            return True
        return self.ballot is not None and pod in voters(self.plan, self.ballot.record, self._shown.all())

    def listen(self) -> list[Record]:
        """To those whose word counts by now, and to nobody else any more; returns what they show of their
        votes that was not noted before."""
        new = [self._unheard.pop(key) for key in list(self._unheard) if self.concerns(key[0])]
        for record in new:
            self._shown.note(record)
        self.statuses = {worker: s for worker, s in self._told.items() if self.concerns(s.pod)}
        return new


def voters(plan: PlanView | None, own: Record, shown: Collection[Record]) -> set[Pod]:
    """Whose votes may be needed, planned or not: those in the formations of our record, and of the records of
    these and of who is planned."""
    near = called(own).union(plan.pods if plan else ())
    told = (r for r in shown if r.pod in near and r.history == own.history)
    return called(own).union(*map(called, told))


def called(record: Record) -> set[Pod]:
    """Pods of the formations that it shows."""
    formations = (record.base, *(a.formation for a in record.accepted))
    return {member.home for formation in formations for member in formation.members}
