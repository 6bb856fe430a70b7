"""The rules of the books, and what they say of a group. Pure."""

from collections.abc import Iterable
from dataclasses import dataclass
from enum import Enum
from typing import TYPE_CHECKING

from edgetrain.rounds.data_record import DataRecord
from edgetrain.rounds.entries import Contribution
from edgetrain_protocol.history import History

if TYPE_CHECKING:
    from edgetrain.rounds.books import Books


class Settlement(Enum):
    """What has become of an update."""

    OPEN = "open"
    MERGED = "merged"
    RETURNED = "returned"
    """It will never be merged: what it contains is trained on again, by whoever gets it."""


@dataclass(frozen=True, order=True)
class OnBooks:
    """A group that takes part."""

    history: History
    since: int
    """The version that it began from, or that named its last update: measured from an older one, the next
    update would contain that work again."""
    settled: int = 0
    """Sequence number of its last update that was merged, or will never be."""
    merged: int = 0
    """Of its last update that was merged."""


class BookRules:
    """The rules, one method each, so that a test can break one and see that the exploration notices."""

    def on_the_books(self, books: "Books", history: History) -> bool:
        """Whether it is a group, and this its generation."""
        return books.has(history)

    def name(self, lineage: int, group: str) -> History:
        """Of a group's first generation in this lineage: as long as the job lasts no other has that name, so
        that nothing of an older lineage is taken for its work."""
        return History(lineage, group, 1)

    def of_another(self, books: "Books", history: History) -> bool:
        """Whether it is of another lineage than the books."""
        return history.lineage != books.lineage

    def freed(self, data: DataRecord, histories: Iterable[History]) -> DataRecord:
        """The data once these are of a lineage that is over."""
        for history in histories:
            data = data.give_back(history, data.of(history), trained=False)
        return data

    def leases(self, books: "Books", contribution: Contribution) -> DataRecord:
        """The data once it is merged.

        Raises:
            NotTheirs: some of it is not leased to its group, or not any more.
        """
        return books.data.merge(contribution.key.history, contribution.blocks)

    def is_next(self, books: "Books", contribution: Contribution) -> bool:
        """Whether all updates of its group before this one are settled, and this one is not."""
        return contribution.key.seq == books.group(contribution.key.history).settled + 1

    def all_ended(self, books: "Books") -> bool:
        """Whether no group trains on data of its own any more, where some have."""
        return bool(books.ended) and not books.groups

    def settlement(self, group: OnBooks, seq: int) -> Settlement:
        """Of the last update that its group has pushed. The books say it for themselves, since the entry may
        be cut off: that it is settled, or that there is a newer version, does not tell merged from
        returned."""
        if group.settled < seq:
            return Settlement.OPEN
        return Settlement.MERGED if group.merged == seq else Settlement.RETURNED
