"""Whether what is left of a council can ever commit again, or the job has to resume from what is durable."""

from collections.abc import Collection
from typing import NamedTuple

from edgetrain_protocol.quorum import majority


class Standing(NamedTuple):
    """Of one whose disk is left, by its own log."""

    name: str
    last: tuple[int, int]
    """Term and index of its last entry."""
    council: frozenset[str]
    """Members. Nobody at a witness, and at a newcomer."""
    may_lead: bool
    """A witness may not."""
    changes: bool = False
    """It leads, and may let one leave with its next entry."""


def is_lost(standings: Collection[Standing], gone: frozenset[str]) -> bool:
    """Whether no log that is left can win a term, whoever holds it then, and no lead can go on without one of
    those who are gone. `gone` are those whose disks are lost for good; who is neither there nor gone may come
    back, with a vote."""
    return not any(
        _wins(log, standings, gone) or _leaves_one_behind(log, gone) for log in standings if log.may_lead
    )


def _wins(log: Standing, standings: Collection[Standing], gone: frozenset[str]) -> bool:
    """Whether it may, by its own count. Who has entries that it lacks hands them on instead of a vote, and
    its own log is looked at as well; a witness has none to hand on."""
    here = {each.name: each for each in standings if each.name in log.council}
    voters = [each for each in here.values() if each.last <= log.last]
    silent = log.council - here.keys() - gone
    some_one_calls = bool(silent) or any(each.may_lead and _calls(each, gone) for each in voters)
    return some_one_calls and majority(len(voters) + len(silent), len(log.council))


def _calls(holder: Standing, gone: frozenset[str]) -> bool:
    """Whether it ever hears enough of its own council to call a term, and so to be told what it lacks."""
    return majority(len(holder.council - gone), len(holder.council))


def _leaves_one_behind(lead: Standing, gone: frozenset[str]) -> bool:
    """Of two the one that leads can do without the other, of four two without one of the others."""
    left = lead.council - gone
    return lead.changes and len(left) < len(lead.council) and majority(len(left), len(lead.council) - 1)
