"""What the lead does next: write an entry, merge what has come, or wait, and until when. Pure.

In this order: an update that can never be merged is refused, since its group waits for that; what the plan
says of how work is merged is written, where it is new; groups that are over go, others come; groups without
data get some; the end is written once all data are merged, or no group has any of its own any more; and a
round is closed when the policy says so.
"""

from collections.abc import Mapping
from dataclasses import dataclass, field
from typing import NamedTuple

from edgetrain.rounds.books import Books
from edgetrain.rounds.entries import Body, Change, Group, Settings, UpdateKey
from edgetrain.rounds.lead import Lead
from edgetrain.rounds.leasing import Want, leases
from edgetrain.rounds.patience import Habit
from edgetrain.rounds.policies import LOOK_SECONDS, Arrival, Expected, Policy, Round, Wait
from edgetrain_protocol.history import History

MOST_BEHIND = 64
"""Versions. What is measured from an older one is refused: it would pull the model back."""


class Propose(NamedTuple):
    body: Body


class Combine(NamedTuple):
    """Merge these updates, and propose the version that they make."""

    keys: tuple[UpdateKey, ...]


Next = Propose | Combine | Wait


@dataclass(frozen=True)
class Floor:
    """What the lead sees beside its books and its updates."""

    opened: float
    """When the round was."""
    heard: frozenset[History]
    asking: frozenset[History] = frozenset()
    """Groups that want to take part."""
    over: frozenset[History] = frozenset()
    """Groups that will not be heard again, by the plan."""
    planned: frozenset[str] = frozenset()
    """Names of those that the plan has."""
    ending: frozenset[History] = frozenset()
    """Groups that have trained on all data of their own, with nothing unmerged."""
    settings: str = ""
    """What the plan says of how work is merged."""
    wants: Mapping[History, Want] = field(default_factory=dict)
    habits: Mapping[History, Habit] = field(default_factory=dict)


def next_entry(lead: Lead, books: Books, floor: Floor, policy: Policy, now: float) -> Next:
    """`books` are of the whole log, all of which is committed: nothing is written before."""
    if books.last:
        return Wait(now + LOOK_SECONDS)
    entry = (
        lead.refusal(books, MOST_BEHIND)
        or _new_settings(books, floor)
        or _departed(books, floor)
        or _newcomer(books, floor)
        or _urgent_lease(books, floor)
        or _last(lead, books, floor)
    )
    if entry is not None:
        return Propose(entry)
    found = policy(open_round(lead, books, floor), now)
    return found if isinstance(found, Wait) else Combine(found.keys)


def open_round(lead: Lead, books: Books, floor: Floor) -> Round:
    """The round as policies see it. Who has nothing to train on is not waited for; and for one that is new,
    whose first steps may take long, as long as for those who are known, where any are."""
    busy = [group for group in books.groups if books.own_data or books.data.count(group.history)]
    known = {history: habit.patience for history, habit in floor.habits.items() if books.has(history)}
    usual = max(known.values(), default=Habit().patience)
    expected = tuple(
        Expected(
            group.history,
            group.history in floor.heard,
            floor.opened + known.get(group.history, usual),
            books.version - group.since,
        )
        for group in busy
    )
    updates = (lead.whole(key) for key in lead.arrived())
    arrived = tuple(Arrival(update.key, update.steps) for update in updates if update is not None)
    return Round(floor.opened, expected, arrived)


def _new_settings(books: Books, floor: Floor) -> Body | None:
    """Before the next version, which is made by them."""
    if floor.settings == books.settings.text:
        return None
    return Settings(books.settings.number + 1, floor.settings)


def _departed(books: Books, floor: Floor) -> Body | None:
    """Who has ended, or is over by the plan: the others would wait for it at the end. What is leased to it is
    free again."""
    for group in books.groups:
        if books.own_data and group.history in floor.ending:
            return Group(group.history, Change.ENDED)
        if group.history in floor.over:
            return Group(group.history, Change.RETIRED)
    return None


def _newcomer(books: Books, floor: Floor) -> Body | None:
    """The first that asks, is heard, and is not on the books: nor a later generation of it. Not who is over,
    who may still be asking: it would come and go without end."""
    for history in sorted((floor.asking & floor.heard) - floor.over):
        entry = Group(history, Change.FORMED)
        if not books.has(history) and not books.refuses(entry):
            return entry
    return None


def _last(lead: Lead, books: Books, floor: Floor) -> Body | None:
    """Where groups have data of their own, those that the plan has are waited for: who was in it once, and is
    away, has some that nobody else has. For how long, is the plan's to say."""
    if books.own_data and (not books.rules.all_ended(books) or not floor.planned <= {*books.ended}):
        return None
    return lead.last(books)


def _urgent_lease(books: Books, floor: Floor) -> Body | None:
    """For a group that has nothing at all. Others get theirs with the next version."""
    idle = {h: w for h, w in floor.wants.items() if h in floor.heard and not books.data.count(h)}
    return next(iter(leases(books, idle)), None)
