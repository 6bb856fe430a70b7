"""What others have shown of their votes: the newest record of each pod in each group. Pure."""

from collections.abc import Collection

from edgetrain.group.members import Pod
from edgetrain.group.record import Record
from edgetrain.group.status import Status
from edgetrain.group.voter import Voter

SHOW_SECONDS = 1.0
"""Who has been in no formation for so long shows its votes, so that all know alike what is lacking."""


class ShownRecords:
    """Of one supervisor."""

    def __init__(self) -> None:
        self._records: dict[tuple[Pod, str], Record] = {}
        self._shown: Record | None = None

    def note(self, record: Record) -> None:
        """Unless a newer one is known."""
        key = record.pod, record.history.group
        before = self._records.get(key)
        if before is None or (record.history, record.serial) >= (before.history, before.serial):
            self._records[key] = record

    def shows(self, own: Record, still_seconds: float) -> bool:
        """Whether our own is to be shown to all now: once, for each change of it."""
        due = own != self._shown and still_seconds >= SHOW_SECONDS
        if due:
            self._shown = own
        return due

    def all(self) -> Collection[Record]:
        return self._records.values()

    def counting(self, ballot: Voter, heard: Collection[Status]) -> list[Record]:
        """Of the ballot's history: its own, of those heard, and of who said that an incarnation ended."""
        own, pods = ballot.record, {status.pod for status in heard}
        here = (r for r in self._records.values() if r.pod in pods and r.history == own.history)
        shown = {record.pod: record for record in here}
        return [*({record.pod: record for record in ballot.declared} | shown).values(), own]
