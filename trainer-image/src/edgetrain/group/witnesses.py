"""What others have shown of their votes: the newest record of each pod. Pure."""

from collections.abc import Collection

from edgetrain.group.ballot import Ballot
from edgetrain.group.members import Pod
from edgetrain.group.record import Record


class Witnesses:
    def __init__(self) -> None:
        self._records: dict[Pod, Record] = {}

    def note(self, record: Record) -> None:
        """Unless a newer one is known."""
        before = self._records.get(record.pod)
        if before is None or (record.lineage, record.serial) >= (before.lineage, before.serial):
            self._records[record.pod] = record

    def all(self) -> Collection[Record]:
        return self._records.values()

    def counting(self, ballot: Ballot, heard: Collection[Pod]) -> list[Record]:
        """Of the ballot's lineage: of those heard, and of those who said that an incarnation ended."""
        lineage = ballot.record.lineage
        shown = {p: r for p, r in self._records.items() if p in heard and r.lineage == lineage}
        return list(({record.pod: record for record in ballot.declared} | shown).values())
