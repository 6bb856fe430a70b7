"""Who can be in a formation, and what a formation is."""

import zlib
from collections.abc import Iterable
from dataclasses import dataclass
from typing import NamedTuple, Self

from edgetrain.link.terms import DEFAULT_TERMS, Terms


class Pod(NamedTuple):
    """Whose disk a vote is written to. A pod's vote outlives its trainer's incarnations."""

    worker: str
    uid: str


class Member(NamedTuple):
    """One process start of a trainer."""

    worker: str
    pod: str
    incarnation: str

    @property
    def home(self) -> Pod:
        return Pod(self.worker, self.pod)

    def founder(self) -> Self:
        """The same pod as the founding base names it: whichever incarnation."""
        return self._replace(incarnation="")


def names(members: Iterable[Member]) -> str:
    """Their workers', for people."""
    return ", ".join(member.worker for member in members)


@dataclass(frozen=True, order=True)
class Formation:
    """What is voted on: who would be in one process group.

    Number 0 is no process group but the pods by whose majority a generation may begin; its members have
    no incarnation, since nothing that they hold can be lost.
    """

    number: int
    members: tuple[Member, ...]
    """In order of rank."""
    aggregator: str
    """Worker."""
    revision: int = 0
    terms: Terms = DEFAULT_TERMS

    @property
    def name(self) -> str:
        """Tells it from another of the same number: two callers may have picked that for different ones."""
        return f"{self.number}-{zlib.crc32(repr(self.members).encode()):08x}"

    @property
    def founding(self) -> bool:
        return self.number == 0

    def present(self, members: frozenset[Member]) -> frozenset[Member]:
        """Those of `members` who are in it."""
        if self.founding:
            return frozenset(m for m in members if m.founder() in self.members)
        return members.intersection(self.members)
