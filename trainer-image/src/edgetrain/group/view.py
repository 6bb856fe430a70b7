"""What decisions look at, and what they can come to."""

from collections.abc import Sequence
from dataclasses import dataclass, field

from edgetrain.group.members import Formation, Member, Pod
from edgetrain.group.record import Record
from edgetrain.group.rules import Rules
from edgetrain.group.status import Pace, PlanView, Status


@dataclass(frozen=True)
class Nothing:
    until: float | None = None
    """Look again then, though nothing may have happened; None: as soon as one looks again anyway."""
    why: str = ""
    waits_for: tuple[str, ...] = ()
    """Workers, where it is for somebody."""


@dataclass(frozen=True)
class CallVote:
    formation: Formation
    why: str
    witnesses: tuple[Member, ...] = ()
    """Who is to vote, and not to be in it."""


@dataclass(frozen=True)
class AskReform:
    why: str


@dataclass(frozen=True)
class Invite:
    """Tell a newcomer to fetch from `donor`, a member of a formation that has committed."""

    pod: Pod
    donor: Member


@dataclass(frozen=True)
class PutOut:
    worker: str
    why: str


Move = Nothing | CallVote | AskReform | Invite | PutOut


@dataclass(frozen=True)
class View:
    """All that the decisions look at. `statuses` are of those who are heard, ourselves included."""

    me: Pod
    now: float
    plan: PlanView
    statuses: dict[str, Status]
    formation: Formation | None
    """The one that our trainer is in or was in last, where its state still counts."""
    superseded: bool = False
    """Others are in a formation that was made without us."""
    ended: frozenset[Member] = frozenset()
    empty: frozenset[Formation] = frozenset()
    """In which nothing was committed, by the records that were shown."""
    declared: tuple[Record, ...] = ()
    """Of those who said that an incarnation of their trainer has ended."""
    records: dict[Pod, Record] = field(default_factory=dict)
    """Of those who are heard, ourselves included, as far as they were shown."""
    paces: dict[str, Pace] = field(default_factory=dict)
    barred: dict[str, float] = field(default_factory=dict)
    """Workers put out by judgement, not by silence -> until when they stay out."""
    mute: dict[str, float] = field(default_factory=dict)
    """Workers that did not answer a call -> until when they are not called."""
    judged: frozenset[tuple[str, int]] = frozenset()
    """Workers put out for what was said in a formation, by its number."""
    lagging: frozenset[str] = frozenset()
    """Newcomers who were found not to hold the newest state."""
    invited: dict[str, tuple[float, str]] = field(default_factory=dict)
    """Worker -> when, and to which donor."""
    since: float = 0.0
    """When the situation became what it is: see `situation`."""
    reform_asked: float | None = None
    highest: int = 0
    """Highest number heard of in refusals."""

    @property
    def own(self) -> Status:
        return self.statuses[self.me.worker]

    def fit(self, member: Member) -> bool:
        """Whether this member is heard, is the same process still, answers, and was not put out."""
        status = self.statuses.get(member.worker)
        here = status is not None and status.member == member and not status.hung
        return here and member not in self.ended and self.may_be_called(member.worker)

    def may_be_called(self, worker: str) -> bool:
        """Neither put out nor mute: as a member. What a witness may be, see `witnesses`."""
        return max(self.barred.get(worker, 0.0), self.mute.get(worker, 0.0)) <= self.now

    def reach(self, worker: str) -> tuple[str, ...]:
        """Workers that it hears."""
        return tuple(self.statuses) if worker == self.me.worker else self.statuses[worker].reach

    def enough(self, voters: Sequence[Member]) -> bool:
        """Whether a call for which these vote could be established, as far as we know."""
        # Nobody's records show nothing that there would have to be enough of.
        return bool(voters) and not self.short(voters)

    def can_go_on(self, members: Sequence[Member]) -> bool:
        """Whether these are enough, by themselves or with the votes of who is here and cannot be in."""
        return bool(members) and (self.enough(members) or self.enough([*members, *self.witnesses(members)]))

    def witnesses(self, members: Sequence[Member]) -> tuple[Member, ...]:
        """Whose votes these lack and may have: of those who cannot be in, as they lack the newest state or
        their programs are away. Whoever is put out too: what that is for hinders no vote.
        """
        votes = {m for formation in self.short(members) for m in formation.members} - self.ended
        return tuple(sorted(m for m in votes.difference(members) if self._hears_calls(m)))

    def _hears_calls(self, member: Member) -> bool:
        status = self.statuses.get(member.worker)
        answers = self.mute.get(member.worker, 0.0) <= self.now
        return status is not None and status.member == member and answers

    def short(self, voters: Sequence[Member]) -> list[Formation]:
        """Formations that may have committed, of which these are too few."""
        here = frozenset(voters)
        return [f for f in self.doubtful(voters) if not Rules().enough(f, here, self.ended)]

    def doubtful(self, members: Sequence[Member]) -> list[Formation]:
        """Formations that may have committed, of which a call of these must have enough: as their votes will
        show. What others have voted for among themselves does not count against them."""
        theirs = [self.records[m.home] for m in members if m.home in self.records]
        records = list({r.pod: r for r in (*self.declared, *theirs)}.values())
        counted = Rules().counted(records) if records else set()
        return [f for f in counted if f not in self.empty and not self._disowned(f, members)]

    def lacking(self, members: Sequence[Member]) -> tuple[str, ...]:
        """Workers whose votes would help these: of each formation that they are too few of, the others."""
        away = {m.worker for f in self.short(members) for m in f.members if m not in self.ended}
        return tuple(sorted(away - {m.worker for m in members}))

    def _disowned(self, attempt: Formation, members: Sequence[Member]) -> bool:
        """Whether one of these was called into it and was never in it: its vote will prove that nobody was.

        Without this a group whose caller went away before its call was answered waited for it for ever.
        """
        called = [m for m in members if m in attempt.members]
        return any(self.statuses[m.worker].formation < attempt.number for m in called)

    def number(self) -> int:
        return 1 + max(self.highest, *(s.closed for s in self.statuses.values()))

    def propose(self, members: list[Member], why: str, witnesses: tuple[Member, ...] = ()) -> CallVote:
        ranked = tuple(sorted(members, key=self.plan.rank))
        aggregator = self.plan.in_line(frozenset(m.worker for m in ranked))[0]
        formation = Formation(self.number(), ranked, aggregator, self.plan.revision, self.plan.terms)
        return CallVote(formation, why, witnesses)
