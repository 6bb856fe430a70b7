"""Who is given which data next. Pure.

Towards the end each group gets less at a time, so that none trains on for long when the others are done.
"""

from collections.abc import Mapping
from typing import NamedTuple

from edgetrain.rounds.books import Books
from edgetrain.rounds.data_record import Fate
from edgetrain.rounds.entries import Lease
from edgetrain_protocol.history import History


class Want(NamedTuple):
    """Of a group."""

    leased: int
    """Positions that it wants to have leased, with those that it has trained on and that are not merged yet:
    enough that it does not run dry while an exchange is under way."""
    batch: int
    """Of one step: less at a time is of little use to it."""


def leases(books: Books, wants: Mapping[History, Want]) -> tuple[Lease, ...]:
    """What groups on the books are given, to have what they want. Who has least comes first, so that none is
    left without while another is filled up. Empty where nobody wants more, or nothing is free."""
    given, data = [], books.data
    wanting = [group.history for group in books.groups if group.history in wants]
    for history in sorted(wanting, key=lambda history: (data.count(history), history)):
        want = wants[history]
        lacking = want.leased - data.count(history)
        most = max(want.batch, data.count(Fate.FREE) // (2 * len(books.groups)))
        blocks = data.next_free(min(lacking, most)) if lacking > 0 else ()
        if blocks:
            given.append(Lease(history, blocks))
            data = data.lease(history, blocks)
    return tuple(given)
