"""Groups, their envoys and the lead around one log that does what the council is explored to do.

The log's contract: what is committed stays; an entry that was proposed and is not committed stays or vanishes
when the lead changes, and what the lead has staged vanishes. Pushes stay on the wire: each part of each may
come never, late and twice. A group that does nothing for a while is one that is dark, or stopped, and wakes.
"""

from collections.abc import Iterator
from dataclasses import dataclass, field, replace
from itertools import chain, combinations
from typing import NamedTuple, TypeVar

from edgetrain.rounds.book_rules import BookRules
from edgetrain.rounds.books import Books
from edgetrain.rounds.data_record import DataRecord
from edgetrain.rounds.entries import Body, Change, Durable, Group, Lease, Merge, Settings, UpdateKey
from edgetrain.rounds.envoy import EnvoyRules, Ledger
from edgetrain.rounds.lead import Lead, LeadRules
from edgetrain.rounds.mass import MassRules
from edgetrain.rounds.turn import Apply, Place, TurnRules
from edgetrain_protocol.history import History
from tests.model.crew import AllRules, Crew, Mass, Mate, steps
from tests.model.numbers_of import Numbers
from tests.model.rounds_checks import check, check_bytes
from tests.model.search import Violation

T = TypeVar("T")
A, B, C = History(1, "a", 1), History(1, "b", 1), History(1, "c", 1)


class Proposed(NamedTuple):
    body: Body
    model: Mass | None
    """The version, where it is one."""


class Desk(NamedTuple):
    """The lead's, with the bytes that each part of a staged update really has."""

    lead: Lead
    bytes: frozenset[tuple[UpdateKey, str, int, str]] = frozenset()
    """(key, digest it is staged under, part, digest of what is there)"""


class Resumption(NamedTuple):
    """In a chain of logs: the job begins a new one from this version, in the next lineage."""

    version: int


class RoundsState(NamedTuple):
    log: tuple[int, ...]
    desk: int
    models: tuple[int, ...]
    """Numbers of (version, digest, mass), of all that were ever proposed."""
    crews: tuple[int, ...]
    pending: int | None = None
    wire: frozenset[int] = frozenset()
    """Numbers of (update, part)."""
    leads: int = 0
    breaks: int = 0
    crashes: int = 0
    regroups: int = 0
    settings: int = 0
    reissues: int = 0
    durables: int = 0
    resumptions: int = 0


@dataclass(frozen=True)
class RoundsBounds:
    positions: int
    leads: int = 0
    """Changes of the lead."""
    breaks: int = 0
    crashes: int = 0
    regroups: int = 0
    """Generations that are founded anew, and splits."""
    settings: int = 0
    reissues: int = 0
    """Groups that are taken for gone too long, which may be so or not."""
    durables: int = 0
    """Versions that the log says to be durable."""
    resumptions: int = 0
    """Of the whole job, from any version."""
    mates: int = 1
    """Of group a; group b has one."""
    turn_by_turn: bool = False
    """Members prepare and commit one by one, else all at once."""
    shards: int = 1
    staged: bool = False
    """Updates come to the lead part by part, and envoys are told when theirs is whole; else with the merge
    itself."""
    early: bool = False
    """Envoys fetch versions before they are committed; else those that they apply, when they do."""
    most_behind: int = 9


@dataclass
class RoundsWorld(Numbers):
    bounds: RoundsBounds
    books: BookRules = field(default_factory=BookRules)
    envoy: EnvoyRules = field(default_factory=EnvoyRules)
    lead: LeadRules = field(default_factory=LeadRules)
    mass: MassRules = field(default_factory=MassRules)
    turn: TurnRules = field(default_factory=TurnRules)

    def __post_init__(self) -> None:
        super().__init__()
        self._books: dict[tuple[int, ...], Books] = {}
        self.rules = AllRules(self.envoy, self.turn, self.mass)

    # --- beginnings

    def start(self) -> RoundsState:
        """Both groups are on the books, with one position leased to each."""
        data = DataRecord.fresh(self.bounds.positions, 1)
        books = Books(data, rules=self.books).fold([Group(A, Change.FORMED), Group(B, Change.FORMED)])
        for history in (A, B):
            books = books.after(Lease(history, books.data.next_free(1)))
        self._books[()] = books
        crews = [self._crew(Ledger(A, 0), Mass(), self.bounds.mates), self._crew(Ledger(B, 0), Mass(), 1)]
        return RoundsState(
            (),
            self.number(Desk(Lead(self.bounds.shards, rules=self.lead))),
            (self.number((0, "", Mass())),),
            tuple(self.number(crew) for crew in crews),
        )

    def _crew(self, ledger: Ledger, theta: Mass, mates: int) -> Crew:
        return Crew((Mate(Place(), ledger, theta, theta),) * mates)

    def folded(self, log: tuple[int, ...]) -> Books:
        if log not in self._books:
            before, body = self.folded(log[:-1]), self.thing(log[-1])
            resumes = isinstance(body, Resumption)
            self._books[log] = self._resumed(log, before) if resumes else before.after(body)
        return self._books[log]

    def _resumed(self, log: tuple[int, ...], newest: Books) -> Books:
        *bodies, resumption = (self.thing(number) for number in log)
        begin = max((i + 1 for i, body in enumerate(bodies) if isinstance(body, Resumption)), default=0)
        return self.folded(log[:begin]).as_of(resumption.version, bodies[begin:], newest.lineage + 1)

    def model(self, state: RoundsState, version: int, digest: str) -> Mass:
        for number in state.models:
            found: tuple[int, str, Mass] = self.thing(number)
            if found[:2] == (version, digest):
                return found[2]
        raise Violation(f"there is no version {version} {digest}")

    def committed_model(self, state: RoundsState, version: int) -> Mass:
        digests = {0: ""}
        for body in map(self.thing, state.log):
            if isinstance(body, Merge):
                digests[body.version] = body.digest
            if isinstance(body, Resumption):
                digests = {v: digest for v, digest in digests.items() if v <= body.version}
        return self.model(state, version, digests.get(version, ""))

    # --- what can happen

    def successors(self, state: RoundsState) -> Iterator[tuple[str, RoundsState]]:
        check(self, state)
        for event, after in chain(
            self._pushes(state),
            self._log(state),
            self._lead(state),
            self._operator(state),
            self._resumes(state),
        ):
            yield event, self._tidy(after)
        for index in range(len(state.crews)):
            for event, after in chain(
                self._envoy(state, index), self._turns(state, index), self._faults(state, index)
            ):
                yield f"{index}: {event}", self._tidy(after)

    def _put(self, state: RoundsState, index: int, crew: Crew) -> RoundsState:
        crews = (*state.crews[:index], self.number(crew), *state.crews[index + 1 :])
        return state._replace(crews=crews)

    def _tidy(self, state: RoundsState) -> RoundsState:
        """With what envoys push, which stays on the wire until it can never matter again."""
        books, wire = self.folded(state.log), set(state.wire)
        for crew in map(self.thing, state.crews):
            if (update := crew.contribution()) is not None:
                wire |= {self.number((update, part)) for part in range(self.bounds.shards)}
        return state._replace(wire=frozenset(n for n in wire if not self._over(books, self.thing(n)[0].key)))

    def _over(self, books: Books, key: UpdateKey) -> bool:
        return books.has(key.history) and books.group(key.history).settled >= key.seq

    # --- the log and its lead

    def _log(self, state: RoundsState) -> Iterator[tuple[str, RoundsState]]:
        fresh = self.number(Desk(Lead(self.bounds.shards, rules=self.lead)))
        if state.leads < self.bounds.leads:
            after = state._replace(desk=fresh, leads=state.leads + 1)
            if self.bounds.staged:
                yield "the lead changes", after
            if state.pending is not None:
                yield "the lead changes, and its entry is lost", after._replace(pending=None)
        if state.pending is not None:
            yield "the entry is committed", self._committed(state, self.thing(state.pending))

    def _committed(self, state: RoundsState, proposed: Proposed) -> RoundsState:
        log = (*state.log, self.number(proposed.body))
        books, desk = self.folded(log), self.thing(state.desk)
        settled = desk.lead.settle(books)
        left = {(s.update.key, s.update.digest) for s in settled.staged}
        kept = Desk(settled, frozenset(b for b in desk.bytes if b[:2] in left))
        after = state._replace(log=log, pending=None, desk=self.number(kept))
        match proposed.body:
            case Group(history, Change.FORMED):
                theta = self.model(state, books.version, books.digest)
                crew = self._crew(Ledger(history, books.version), theta, 1)
                return after._replace(crews=(*after.crews, self.number(crew)))
        return after

    def _propose(self, state: RoundsState, body: Body, model: Mass | None = None) -> RoundsState:
        return state._replace(pending=self.number(Proposed(body, model)))

    def _pushes(self, state: RoundsState) -> Iterator[tuple[str, RoundsState]]:
        if self.bounds.staged:
            for number in state.wire:
                update, part = self.thing(number)
                event = f"part {part} of {update.digest} arrives"
                yield event, state._replace(desk=self._arrives(state.desk, number, state.log))

    def _arrives(self, desk_number: int, number: int, log: tuple[int, ...]) -> int:
        (update, part), desk = self.thing(number), self.thing(desk_number)
        lead = desk.lead.on_part(update, part, self.folded(log))
        if lead == desk.lead:
            return desk_number
        under = next((s.update.digest for s in lead.staged if self.lead.same(s.update, update)), None)
        if under is None:
            return desk_number
        held = {(s.update.key, s.update.digest, p) for s in lead.staged for p in s.parts}
        now = {b[:3]: b[3] for b in desk.bytes if b[:3] in held} | {(update.key, under, part): update.digest}
        return self.number(Desk(lead, frozenset((*b, actual) for b, actual in now.items())))

    def _lead(self, state: RoundsState) -> Iterator[tuple[str, RoundsState]]:
        if state.pending is not None:
            return
        books, desk = self.folded(state.log), self.thing(state.desk)
        if books.last:
            return
        for each in self._desks(state):
            if (refusal := each.lead.refusal(books, self.bounds.most_behind)) is not None:
                yield f"proposes {refusal}", self._propose(state, refusal)
        if (last := desk.lead.last(books)) is not None:
            yield "proposes the end", self._propose(state, last)
        for desk in self._desks(state):
            whole = desk.lead.arrived()
            for keys in _some(whole) if self.bounds.staged else [whole]:
                yield from self._merges(state, desk, keys, books)
        yield from self._small_entries(state, books)

    def _small_entries(self, state: RoundsState, books: Books) -> Iterator[tuple[str, RoundsState]]:
        for group in books.groups:
            free = books.data.next_free(1)
            if free and books.data.count(group.history) < 2:
                yield f"proposes {free} for {group.history}", self._propose(state, Lease(group.history, free))
            back = self.thing(state.desk).lead.reissue(group.history, books)
            if back is not None and state.reissues < self.bounds.reissues:
                yield f"proposes {back}", self._propose(state._replace(reissues=state.reissues + 1), back)
        if state.settings < self.bounds.settings:
            after = state._replace(settings=state.settings + 1)
            yield "proposes settings", self._propose(after, Settings(books.settings.number + 1, ""))
        if state.durables < self.bounds.durables:
            after = state._replace(durables=state.durables + 1)
            for version in range(books.durable + 1, books.version + 1):
                yield f"{version} is durable", self._propose(after, Durable(version, ("n1", "n2")))

    def _merges(
        self, state: RoundsState, desk: Desk, keys: tuple[UpdateKey, ...], books: Books
    ) -> Iterator[tuple[str, RoundsState]]:
        digest = f"v{books.version + 1} of {[desk.lead.whole(key) for key in keys]} by {state.leads}"
        merge = desk.lead.merge(keys, books, digest)
        if not books.refuses(merge):
            check_bytes(desk.bytes, merge)
            yield f"proposes {digest}", self._merged(state, merge)

    def _desks(self, state: RoundsState) -> Iterator[Desk]:
        """The lead's; or each that it may have, where updates come with the merge."""
        if self.bounds.staged:
            yield self.thing(state.desk)
            return
        for some in _some(tuple(sorted(state.wire))):
            desk = state.desk
            for number in some:
                desk = self._arrives(desk, number, state.log)
            yield self.thing(desk)

    def _merged(self, state: RoundsState, merge: Merge) -> RoundsState:
        books = self.folded(state.log)
        updates = [steps(c.key.history, c.key.seq, c.blocks) for c in merge.contributions]
        model = self.mass.merged(self.model(state, books.version, books.digest), updates, merge.groups)
        number = self.number((merge.version, merge.digest, model))
        models = state.models if number in state.models else (*state.models, number)
        return self._propose(state._replace(models=models), merge, model)

    def _operator(self, state: RoundsState) -> Iterator[tuple[str, RoundsState]]:
        """It takes a group for lost, which may be so or not; or it has it split."""
        if state.pending is not None or state.regroups >= self.bounds.regroups or self.folded(state.log).last:
            return
        books, after = self.folded(state.log), state._replace(regroups=state.regroups + 1)
        if self.bounds.mates > 1:
            yield "a split is proposed", self._propose(after, Group(C, Change.SPLIT, A))
            return
        for group in books.groups:
            anew = group.history._replace(generation=group.history.generation + 1)
            yield f"{anew} is proposed", self._propose(after, Group(anew, Change.FORMED))

    def _resumes(self, state: RoundsState) -> Iterator[tuple[str, RoundsState]]:
        """Both groups begin anew. What the old ones do before they know of it they may as well have done
        before it was so; what they have pushed stays on its way."""
        if state.resumptions >= self.bounds.resumptions:
            return
        books = self.folded(state.log)
        lineage, fresh = books.lineage + 1, self.number(Desk(Lead(self.bounds.shards, rules=self.lead)))
        before = [body.version for body in map(self.thing, state.log) if isinstance(body, Resumption)]
        for version in range(max(before, default=0), books.version + 1):
            groups = [self.books.name(lineage, group) for group in "ab"]
            formed = [Group(history, Change.FORMED) for history in groups]
            log = (*state.log, *(self.number(body) for body in (Resumption(version), *formed)))
            after = state._replace(log=log, desk=fresh, pending=None, resumptions=state.resumptions + 1)
            pairs = zip(groups, state.crews, strict=True)
            crews = tuple(self._refounded(after, history, number) for history, number in pairs)
            yield f"resumes from {version}", after._replace(crews=crews)

    def _refounded(self, state: RoundsState, history: History, before: int) -> int:
        """A group with members of an old one."""
        books, old = self.folded(state.log), self.thing(before)
        if old.begins(books, len(state.log), self.rules) is not None:
            raise Violation(f"{old.history} goes on in lineage {books.lineage}")
        ledger = self.envoy.begins(history, books, old.ledger)
        assert ledger is not None
        crew = self._crew(ledger, self.committed_model(state, ledger.base), 1)
        return self.number(replace(crew, lineage=books.lineage))

    # --- envoys

    def _envoy(self, state: RoundsState, index: int) -> Iterator[tuple[str, RoundsState]]:
        crew: Crew = self.thing(state.crews[index])
        if not crew.mates[crew.speaker].alive:
            return
        if self.bounds.early:
            for version in self._at_hand(state):
                if version[0] > crew.ledger.base and version not in crew.envoy.fetched:
                    yield f"fetches {version}", self._put(state, index, self._fetched(crew, version))
        update = crew.contribution()
        whole = update and self.thing(state.desk).lead.whole(update.key)
        if update and whole and crew.envoy.acknowledged != update.key:
            told = replace(crew, envoy=crew.envoy.told(update.key))
            yield f"is told that {update.key.seq} is whole", self._put(state, index, told)

    def _fetched(self, crew: Crew, version: tuple[int, str]) -> Crew:
        envoy = crew.envoy.has(*version)
        useful = frozenset(v for v in envoy.fetched if v[0] >= crew.ledger.base)
        return replace(crew, envoy=replace(envoy, fetched=useful))

    def _at_hand(self, state: RoundsState) -> set[tuple[int, str]]:
        """Versions that somebody serves."""
        books = self.folded(state.log)
        found = {(books.version, books.digest)}
        if state.pending is not None and self.bounds.early:
            body = self.thing(state.pending).body
            found |= {(body.version, body.digest)} if isinstance(body, Merge) else set()
        return found

    # --- turns

    def _turns(self, state: RoundsState, index: int) -> Iterator[tuple[str, RoundsState]]:
        crew: Crew = self.thing(state.crews[index])
        for begun in self._begun(state, crew):
            one_by_one = self.bounds.turn_by_turn and len(crew.mates) > 1
            after = begun if one_by_one else self._all_at_once(state, begun)
            yield f"begins {begun.turn}", self._put(state, index, after)
        for mate in range(len(crew.mates)):
            if (prepared := crew.prepares(mate)) is not None:
                yield f"mate {mate} prepares", self._put(state, index, prepared)
            if (done := self._commits(state, crew, mate)) is not None:
                yield f"mate {mate} commits", self._put(state, index, done)

    def _begun(self, state: RoundsState, crew: Crew) -> Iterator[Crew]:
        """By the log as far as its envoy may have read it, with or without the newest version that it tells
        of."""
        shown = state.log
        body = self.thing(state.pending).body if state.pending is not None else None
        if body and self.lead.shows(body, committed=False):
            shown = (*shown, self.number(body))
        seen = set()
        for known in range(len(shown) + 1):
            books = self.folded(shown[:known])
            fetched = crew if self.bounds.early else self._fetched(crew, (books.version, books.digest))
            for begun in (crew.begins(books, known, self.rules), fetched.begins(books, known, self.rules)):
                # Who has read more may do less later on: the fewest entries are the most general case.
                if begun is not None and begun.turn and begun.turn.deed not in seen:
                    seen.add(begun.turn.deed)
                    yield replace(begun, envoy=crew.envoy)

    def _commits(self, state: RoundsState, crew: Crew, mate: int) -> Crew | None:
        held = crew.mates[mate].place.held
        deed = held.turn.deed if held else None
        model = self.model(state, deed.version, deed.digest) if isinstance(deed, Apply) else None
        return crew.commits(mate, model, self.rules)

    def _all_at_once(self, state: RoundsState, crew: Crew) -> Crew:
        for mate in range(len(crew.mates)):
            crew = crew.prepares(mate) or crew
        for mate in range(len(crew.mates)):
            crew = self._commits(state, crew, mate) or crew
        return crew

    def _faults(self, state: RoundsState, index: int) -> Iterator[tuple[str, RoundsState]]:
        crew: Crew = self.thing(state.crews[index])
        if state.breaks < self.bounds.breaks and len(crew.living) > 1:
            counted = state._replace(breaks=state.breaks + 1)
            yield "breaks", self._put(counted, index, crew.breaks(None, self.rules))
        if state.crashes < self.bounds.crashes:
            counted = state._replace(crashes=state.crashes + 1)
            for mate in (i for i, who in enumerate(crew.mates) if who.alive):
                yield f"loses mate {mate}", self._put(counted, index, crew.breaks(mate, self.rules))
        if len(crew.living) > 1 and crew.even and not crew.turn and len(state.crews) == 2:
            yield from self._splits(state, index, crew)

    def _splits(self, state: RoundsState, index: int, crew: Crew) -> Iterator[tuple[str, RoundsState]]:
        """The last mate goes on by itself, once it may."""
        gone, books = crew.mates[-1], self.folded(state.log)
        ledger = self.envoy.begins(C, books, gone.ledger)
        if ledger is None:
            return
        left = crew.breaks(len(crew.mates) - 1, self.rules)
        other = self._crew(ledger, self.committed_model(state, ledger.base), 1)
        if ledger == gone.ledger:
            other = Crew((replace(gone, place=Place()),))
        after = self._put(state, index, left)
        yield "splits", after._replace(crews=(*after.crews, self.number(other)))


def _some(of: tuple[T, ...]) -> Iterator[tuple[T, ...]]:
    return chain.from_iterable(combinations(of, count) for count in range(1, len(of) + 1))
