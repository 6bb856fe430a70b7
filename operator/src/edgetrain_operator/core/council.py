"""Who is to hold the log of rounds: the next single change of the council, and why. Its lead writes it.

A holder is an identity of one disk: a worker that has lost its disk comes as another one.
"""

from collections.abc import Collection, Iterator
from dataclasses import dataclass
from typing import NamedTuple

from edgetrain_protocol.quorum import majority

SOME_GROUPS = 3
"""From so many on three hold the log: two groups lose little with one."""
MANY_GROUPS = 10
"""From so many on five do, so that two may be away."""


class Candidate(NamedTuple):
    """One that may hold the log, or does."""

    name: str
    site: str
    reachable: bool
    """By the others who hold it."""
    caught_up: bool
    """It has stored all that the lead has committed. One that has not would be waited for."""


@dataclass(frozen=True)
class CouncilView:
    lead: str
    holders: frozenset[str]
    """As the lead reports them."""
    witness: str
    """Empty where there is none."""
    line: tuple[Candidate, ...]
    """Best first."""
    gone: frozenset[str]
    """Whose disks are lost for good."""
    groups: int
    operator: str
    """Its identity as a witness; empty where the lead does not hear it."""

    @property
    def members(self) -> frozenset[str]:
        return self.holders | ({self.witness} - {""})


@dataclass(frozen=True)
class CouncilTarget:
    """What it is to come to, change by change."""

    holders: tuple[str, ...]
    """Best first."""
    witness: str

    @property
    def members(self) -> tuple[str, ...]:
        return (*self.holders, self.witness) if self.witness else self.holders


class CouncilChange(NamedTuple):
    """One comes, or one leaves; the other is empty."""

    add: str
    remove: str
    why: str


def how_many(groups: int) -> int:
    """Holders of a log that so many groups share: an odd number."""
    return 1 if groups < SOME_GROUPS else 3 if groups < MANY_GROUPS else 5


def target(view: CouncilView) -> CouncilTarget:
    """One, three or five; across sites first; who holds the log already rather than another. Where holders
    are even in number, as of two sites, the operator makes them odd."""
    size = how_many(view.groups)
    living = [each for each in view.line if each.name not in view.gone]
    if view.groups > 1 and len({each.site for each in living}) == 2:
        size = max(size, 3) - 1
    chosen = tuple(each.name for each in _best(view, living, size))
    odd = len(chosen) % 2 == 1
    return CouncilTarget(chosen, "" if odd else view.witness or view.operator)


def next_change(view: CouncilView) -> CouncilChange | None:
    """The next step to the target, if one can be taken now: who is gone leaves first, since majorities are
    counted with it; else one comes before another leaves."""
    if lost := sorted(view.members & view.gone):
        return CouncilChange("", lost[0], f"{lost[0]} has lost its log for good")
    wanted = target(view)
    if len(view.members) <= len(wanted.members):
        for name in newcomers(view):
            if _able(view, name) and _decides(view, view.members | {name}):
                return CouncilChange(name, "", f"{len(wanted.members)} are to hold the log")
        return None
    for name in _surplus(view, wanted):
        if _decides(view, view.members - {name}):
            return CouncilChange("", name, f"{len(wanted.members)} others are to hold the log")
    return None


def newcomers(view: CouncilView) -> tuple[str, ...]:
    """Whom the lead is to bring up to date, before they are in the council."""
    return tuple(name for name in target(view).members if name not in view.members)


def _best(view: CouncilView, living: list[Candidate], size: int) -> Iterator[Candidate]:
    left = list(enumerate(living))
    sites: list[str] = []
    while left and len(sites) < size:
        place, best = min(
            left,
            key=lambda one: (
                one[1].name != view.lead,
                not one[1].reachable,
                sites.count(one[1].site),
                one[1].name not in view.holders,
                one[0],
            ),
        )
        left.remove((place, best))
        sites.append(best.site)
        yield best


def _surplus(view: CouncilView, wanted: CouncilTarget) -> list[str]:
    """Who is to leave: the unreachable first, the lead last."""
    leaving = view.members - set(wanted.members)
    return sorted(leaving, key=lambda name: (name == view.lead, name in _reachable(view), name))


def _able(view: CouncilView, name: str) -> bool:
    return name == view.operator or any(each.name == name and each.caught_up for each in view.line)


def _decides(view: CouncilView, members: Collection[str]) -> bool:
    """Whether more than half of them are there to commit it."""
    return majority(len(_reachable(view) & set(members)), len(members))


def _reachable(view: CouncilView) -> frozenset[str]:
    """The lead, which has said so, and whom it hears."""
    heard = {each.name for each in view.line if each.reachable} - view.gone
    return frozenset({view.lead, *heard} | ({view.operator} - {""}))
