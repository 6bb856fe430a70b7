"""When a call may become a formation, whose state counts in it, and what becomes of the step in doubt.

Dynamic voting with ambiguous attempts, after Keidar and Dolev, "Dynamic voting for consistent primary
components" (PODC 1997): an attempt that may have succeeded is counted like one that did, until some
member of it proves that it did not. What is added: incarnations that are declared ended leave the
count, and exactly half counts with the aggregator.
"""

from collections.abc import Collection, Iterable, Mapping
from dataclasses import dataclass
from enum import Enum

from edgetrain.group.members import Formation, Member
from edgetrain.group.record import Record
from edgetrain.link.messages import Decision, Position, Prepared
from edgetrain_protocol import quorum


@dataclass(frozen=True)
class Vote:
    """A voter's word. By the time it is sent its trainer has left every older formation."""

    formation: Formation
    voter: Member
    record: Record
    position: Position
    clean: bool
    """The trainer stopped at a loop boundary together with its group, or was in none."""


class Outcome(Enum):
    ESTABLISHED = "established"
    OUTDATED = "the call has been overtaken"
    OUTNUMBERED = "not enough members of a formation that may have committed"
    LAGGING = "some of those called do not hold the newest state"
    INCONSISTENT = "members of one formation are more than a step apart"


@dataclass(frozen=True)
class Verdict:
    outcome: Outcome
    reason: str = ""
    current: tuple[Member, ...] = ()
    """Those whose state counts."""
    decision: Decision = Decision.NONE
    step: int = 0
    """The step in doubt for apply and redo, else the last committed one."""
    lagging: frozenset[Member] = frozenset()
    promised: int = 0
    """Where it is outdated: numbers up to this are closed."""


class Rules:
    """The rules, one method each, so that a test can break one and see that the exploration notices."""

    def judge(
        self,
        call: Formation,
        votes: Mapping[Member, Vote],
        declared: Iterable[Record],
        empty: Collection[Formation] = (),
    ) -> Verdict:
        """Judge a call for which every member of it has voted, and every witness.

        `declared` are records of pods that said that an incarnation of their trainer is over: they
        reduce counts, and tell what that incarnation had voted for before. `empty` are formations in which
        nothing was or will be committed, by the record of one that does not vote here: what it swears
        once is true for ever.
        """
        records = [*declared, *(vote.record for vote in votes.values())]
        ended = frozenset(member for record in records for member in record.ended)
        if over := ended.intersection(call.members):
            return Verdict(Outcome.OUTDATED, f"{min(over).worker}'s trainer has ended since")
        promised = max(record.promised for record in records)
        if promised > call.number:
            return Verdict(Outcome.OUTDATED, f"number {promised} was promised", promised=promised)
        counted = self.counted(records) - {call, *empty}
        for formation in counted:
            if not self.enough(formation, frozenset(votes), ended):
                return Verdict(Outcome.OUTNUMBERED, f"too few members of formation {formation.number}")
        called = {member: vote for member, vote in votes.items() if member in call.members}
        return self.resume(max(counted, key=lambda f: f.number), called)

    def counted(self, records: Iterable[Record]) -> set[Formation]:
        """The newest formation known to have committed, and all since in which somebody may have."""
        records = list(records)
        newest = max(record.base.number for record in records)
        bases = {record.base for record in records if record.base.number == newest}
        since = {a.formation for r in records for a in r.accepted if a.formation.number > newest}
        return bases | {f for f in since if not self.void(f, records)}

    def void(self, formation: Formation, records: Iterable[Record]) -> bool:
        return any(record.never_formed(formation) for record in records)

    def enough(self, formation: Formation, voters: frozenset[Member], ended: frozenset[Member]) -> bool:
        """More than half of its members who are not declared ended; half, with its aggregator among them."""
        living = [m for m in formation.members if m not in ended]
        here = formation.present(voters) - ended
        leads = any(m.worker == formation.aggregator for m in here)
        return quorum.enough(len(living), len(here), aggregator_here=leads)

    def resume(self, newest: Formation, votes: Mapping[Member, Vote]) -> Verdict:
        """From where the members go on. Witnesses are not asked: had one committed more than they, they would
        hold that prepared."""
        current = self.current(newest, votes)
        if not current:
            text = f"none of them was in formation {newest.number}"
            return Verdict(Outcome.LAGGING, text, lagging=frozenset(votes))
        positions = {m: votes[m].position for m in current}
        low = min(p.committed for p in positions.values())
        high = max(p.committed for p in positions.values())
        tags = {in_doubt(p, low + 1) for p in positions.values() if p.committed == low}
        if high > low + 1 or (high > low and None in tags):
            return Verdict(Outcome.INCONSISTENT, f"steps {low} to {high} in formation {newest.number}")
        clean = all(votes[m].clean for m in current)
        decision = self.decision(high > low, tags, clean)
        lagging = frozenset(
            m
            for m, vote in votes.items()
            if m not in current and (decision is not Decision.NONE or vote.position.committed != low)
        )
        if lagging:
            return Verdict(Outcome.LAGGING, "newcomers enter at a boundary, with all steps", lagging=lagging)
        step = low if decision is Decision.NONE else low + 1
        return Verdict(Outcome.ESTABLISHED, current=current, decision=decision, step=step)

    def current(self, newest: Formation, votes: Mapping[Member, Vote]) -> tuple[Member, ...]:
        if not newest.founding:
            return tuple(m for m in votes if m in newest.members)
        # Nothing was committed in this generation: the furthest checkpoint among them is its beginning.
        furthest = max(vote.position.committed for vote in votes.values())
        return tuple(m for m, vote in votes.items() if vote.position.committed == furthest)

    def decision(self, committed: bool, tags: set[Prepared | None], clean: bool) -> Decision:
        """`tags`: what those who have not committed the step hold prepared for it."""
        if committed or (len(tags) == 1 and None not in tags):
            return Decision.APPLY
        return Decision.NONE if clean and tags == {None} else Decision.REDO


def in_doubt(position: Position, step: int) -> Prepared | None:
    """What is held prepared for `step`."""
    held = position.prepared
    return held if held is not None and held.step == step else None
