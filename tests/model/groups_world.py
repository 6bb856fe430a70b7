"""Groups in rounds as they run: what an envoy proposes, what a lead writes, what members hold of it. Each
method of `GroupsWorld` that yields is what one of them may do next.

A group is one: that its members agree is for the votes to see to. The council is one too: that a log is one,
is for the exploration of that. Every step that is trained has a name, so that a version says which are in it.
"""

from collections import Counter
from collections.abc import Iterator
from dataclasses import dataclass, field, replace
from functools import cache

from edgetrain.rounds.blocks import first
from edgetrain.rounds.books import Books
from edgetrain.rounds.data_record import DataRecord
from edgetrain.rounds.entries import Body, Contribution, Merge, UpdateKey
from edgetrain.rounds.envoy import EnvoyRules
from edgetrain.rounds.group_work import GroupWork
from edgetrain.rounds.lead import Lead
from edgetrain.rounds.leasing import Want
from edgetrain.rounds.next_entry import Combine, Floor, Propose, next_entry
from edgetrain.rounds.policies import sync
from edgetrain.rounds.proposing import Proposing
from edgetrain.rounds.reading import Page, Reading
from edgetrain_protocol.history import History
from tests.model.search import Violation

LOCAL_STEPS, BATCH = 1, 1
WANT = Want(2, BATCH)
PATIENT, IMPATIENT = 0.0, 1e9
"""Moments at which a lead looks: while it waits for whoever may come, and later."""

Name = tuple[str, int, int]
"""Of a step: a position of the job's data; or of data of its own a group, its generation, and which one."""
Names = frozenset[Name]
NONE: Names = frozenset()


@dataclass(frozen=True)
class Envoy:
    known: int = 0
    """Entries of the log that it has read."""
    at_hand: int = -1
    pushed: int = 0
    """In which term it has pushed what is in flight; and in which it has said that its group ends."""
    said_end: int = 0
    attempt: int = 0


@dataclass(frozen=True)
class Member:
    """A group, by all that its members hold."""

    history: History
    left: int
    """Steps on data of its own that it has not taken."""
    work: GroupWork | None = None
    fresh: Names = NONE
    """Trained since the push."""
    flying: Names = NONE
    envoy: Envoy = Envoy()
    here: bool = False
    """Its program has come to its loop: a lead hears it."""


@dataclass(frozen=True)
class Bounds:
    own_data: bool
    steps: int = 1
    """Of each group's own data; or positions of the job's, for each group."""
    groups: int = 2
    leads: int = 0
    """So often is the lead lost."""
    envoys: int = 0
    generations: int = 0
    """So often does a group lose all that it holds."""


@dataclass(frozen=True)
class GroupsState:
    bounds: Bounds
    """What may still befall it."""
    members: tuple[Member, ...]
    log: tuple[Body, ...] = ()
    sent: frozenset[tuple[UpdateKey, Names]] = frozenset()
    lead: Lead = field(default_factory=lambda: Lead(1))
    floor: Floor = field(default_factory=lambda: Floor(0.0, frozenset()))
    term: int = 1

    def __hash__(self) -> int:
        return hash((self.bounds, self.members, self.log, self.lead.staged, self.term))


class GroupsWorld:
    """Of the code that runs: a test that breaks a rule breaks it there."""

    rules = EnvoyRules()

    def __init__(self, bounds: Bounds) -> None:
        total = 0 if bounds.own_data else bounds.steps * bounds.groups
        histories = [History(1, name, 1) for name in "abc"[: bounds.groups]]
        # One is there; when the others come is theirs.
        members = (Member(h, bounds.steps, here=h == histories[0]) for h in histories)
        self.start = GroupsState(bounds, tuple(members))
        self._steps, self._first = bounds.steps, Books(DataRecord.fresh(total, 1))
        self.books = cache(self._books)
        self.contents = cache(self._contents)

    def _books(self, log: tuple[Body, ...]) -> Books:
        return self.books(log[:-1]).after(log[-1]) if log else self._first

    def _contents(self, log: tuple[Body, ...], sent: frozenset[tuple[UpdateKey, Names]]) -> Names:
        """Of the newest version."""
        merged, of = NONE, dict(sent)
        for update in (u for body in log if isinstance(body, Merge) for u in body.contributions):
            if twice := merged & of[update.key]:
                raise Violation(f"merged twice: {sorted(twice)}")
            merged |= of[update.key]
        return merged

    # --- what may be next

    def successors(self, state: GroupsState) -> Iterator[tuple[str, GroupsState]]:
        yield from self.goes_on(state)
        yield from self.goes_wrong(state)

    def goes_on(self, state: GroupsState) -> Iterator[tuple[str, GroupsState]]:
        for at, member in enumerate(state.members):
            if not member.here:
                yield f"{member.history.group} comes", with_member(state, at, replace(member, here=True))
                continue
            for what, found in self.acts(state, member):
                yield f"{member.history.group} {what}", with_member(state, at, found)
            for what, found, later in self.asks(state, member):
                yield f"{member.history.group} {what}", with_member(later, at, found)
        yield from self.leads(state)

    def acts(self, state: GroupsState, member: Member) -> Iterator[tuple[str, Member]]:
        envoy, reading = member.envoy, self.reading(state, member)
        if envoy.known < len(state.log):
            # All that there is, and the version that it says: to lack that is the same as to have read less.
            version = self.books(state.log).version
            yield "reads", replace(member, envoy=replace(envoy, known=len(state.log), at_hand=version))
        proposed = self.proposing(member, reading).proposal(member.work, LOCAL_STEPS, self.spent(member))
        if proposed is not None:
            yield "merges", self.after(member, proposed.work)
        elif (trained := self.trained(member)) is not None:
            yield "trains", trained

    def asks(self, state: GroupsState, member: Member) -> Iterator[tuple[str, Member, GroupsState]]:
        """What a lead hears."""
        envoy, reading, floor = member.envoy, self.reading(state, member), state.floor
        history, books, work = member.history, reading.books, member.work
        if self.proposing(member, reading).ends(work, self.spent(member)) and envoy.said_end != state.term:
            ending = replace(floor, ending=floor.ending | {history})
            said = replace(member, envoy=replace(envoy, said_end=state.term))
            yield "says that it ends", said, replace(state, floor=ending)
        flying = work.ledger.in_flight if work and work.ledger.history == history else None
        if flying and envoy.pushed != state.term and books.has(history) and work:
            update = Contribution(
                flying.key, f"{flying.key}", flying.base, flying.blocks, work.flying_steps, envoy.attempt
            )
            lead = state.lead.on_part(update, 0, self.books(state.log))
            sent = state.sent | {(flying.key, member.flying)}
            pushed = replace(member, envoy=replace(envoy, pushed=state.term))
            yield "pushes", pushed, replace(state, lead=lead, sent=sent)

    def leads(self, state: GroupsState) -> Iterator[tuple[str, GroupsState]]:
        books, heard = self.books(state.log), frozenset(m.history for m in state.members if m.here)
        named = frozenset(member.history.group for member in state.members)
        # All ask for all that they may have, again and again.
        floor = replace(
            state.floor, heard=heard, planned=named, asking=heard, wants=dict.fromkeys(heard, WANT)
        )
        for moment in (PATIENT, IMPATIENT):
            match next_entry(state.lead, books, floor, sync, moment):
                case Propose(body):
                    yield f"the lead writes {type(body).__name__}", self.written(state, body)
                    return
                case Combine(keys):
                    merge = state.lead.merge(keys, books, f"v{books.version + 1}")
                    yield f"the lead merges {len(keys)}", self.written(state, merge)

    def goes_wrong(self, state: GroupsState) -> Iterator[tuple[str, GroupsState]]:
        left = state.bounds
        if left.leads:
            fresh = Floor(0.0, frozenset())
            bounds = replace(left, leads=left.leads - 1)
            yield (
                "the lead is lost",
                replace(state, bounds=bounds, lead=Lead(1), floor=fresh, term=state.term + 1),
            )
        for at, member in enumerate(state.members):
            name = member.history.group
            if left.envoys:
                bounds = replace(left, envoys=left.envoys - 1)
                lost = replace(member, envoy=Envoy(attempt=member.envoy.attempt + 1))
                yield f"the envoy of {name} is lost", with_member(replace(state, bounds=bounds), at, lost)
            if left.generations:
                bounds = replace(left, generations=left.generations - 1)
                history = member.history._replace(generation=member.history.generation + 1)
                anew = Member(history, self._steps, here=member.here)
                yield f"{name} begins anew", with_member(replace(state, bounds=bounds), at, anew)

    # --- what comes of it

    def reading(self, state: GroupsState, member: Member) -> Reading:
        known = state.log[: member.envoy.known]
        return Reading(self.books(known), len(known)).on_page(Page(len(known), ()))

    def proposing(self, member: Member, reading: Reading) -> Proposing:
        return Proposing(member.history, reading, member.envoy.at_hand, self.rules)

    def spent(self, member: Member) -> bool:
        return self._first.own_data and member.left == 0

    def trained(self, member: Member) -> Member | None:
        work = member.work
        if work is None or work.over or work.ledger.history != member.history:
            return None
        if self._first.own_data:
            if not member.left:
                return None
            name = (member.history.group, member.history.generation, member.left)
            later = replace(member, left=member.left - 1, work=work.stepped((), 1))
            return replace(later, fresh=named(member, name))
        if not (blocks := first(work.untrained, BATCH)):
            return None
        return replace(member, work=work.stepped(blocks, 1), fresh=named(member, ("", 0, blocks[0].start)))

    def after(self, member: Member, work: GroupWork) -> Member:
        before = member.work
        if before is None or before.ledger.history != work.ledger.history:
            return replace(member, work=work, fresh=NONE, flying=NONE)
        if before.ledger.in_flight and work.ledger.in_flight != before.ledger.in_flight:
            member = replace(member, flying=NONE)
        if work.ledger.in_flight and work.ledger.in_flight != before.ledger.in_flight:
            envoy = replace(member.envoy, pushed=0)
            member = replace(member, flying=member.fresh, fresh=NONE, envoy=envoy)
        return replace(member, work=work)

    def written(self, state: GroupsState, body: Body) -> GroupsState:
        log = (*state.log, body)
        return replace(state, log=log, lead=state.lead.settle(self.books(log)))

    # --- what must hold

    def check(self, state: GroupsState) -> None:
        contents, books = self.contents(state.log, state.sent), self.books(state.log)
        for member in state.members:
            work = member.work
            if work and work.over and (member.fresh or member.flying) and books.has(member.history):
                raise Violation(f"{member.history.group} ends with work that is in no version")
        if books.last and (missing := self.missing(state, contents)):
            raise Violation(f"in no version: {missing}")

    def missing(self, state: GroupsState, contents: Names) -> list[str]:
        """Of all that had to be trained: positions, or groups."""
        if not self._first.own_data:
            return [str(p) for p in range(self._first.data.total) if ("", 0, p) not in contents]
        return [m.history.group for m in state.members if not self.trained_all(m.history, contents)]

    def trained_all(self, history: History, contents: Names) -> bool:
        """Whether some generation's steps are all there."""
        of = Counter((name[0], name[1]) for name in contents)
        return any(of[history.group, g] == self._steps for g in range(1, history.generation + 1))

    def is_over(self, state: GroupsState) -> bool:
        """All have the last version, and know that it is the last."""
        books = self.books(state.log)
        works = [member.work for member in state.members]
        return books.last and all(w is not None and w.over and w.ledger.base == books.version for w in works)


def named(member: Member, name: Name) -> Names:
    if name in member.fresh | member.flying:
        raise Violation(f"{member.history.group} trains {name} twice")
    return member.fresh | {name}


def with_member(state: GroupsState, at: int, member: Member) -> GroupsState:
    members = (*state.members[:at], member, *state.members[at + 1 :])
    return replace(state, members=members)
