"""A council around the very members that are to run, small enough to explore all of it.

Asynchrony does the faults' work, as in `world`. What was said stays on the wire, so that each message may
come never, late, twice and in any order: links that fail, one that is stopped and wakes, and a lead that has
been superseded and does not know it are all among these histories.
"""

from collections.abc import Iterator
from dataclasses import dataclass, field
from itertools import chain, combinations, permutations, product
from typing import Any, NamedTuple

from edgetrain.rounds.books import Books, NotAdmissible
from edgetrain.rounds.council import CouncilMember, Leading, Tell
from edgetrain.rounds.council_messages import Call, Message, Refusal, Store, Stored, Vote
from edgetrain.rounds.council_rules import CouncilRules
from edgetrain.rounds.data_record import DataRecord
from edgetrain.rounds.entries import Body, Council, Settings
from edgetrain.rounds.log import Contradiction, Entry, Log
from tests.model.numbers_of import Numbers
from tests.model.search import Violation
from tests.model.symmetry import Renamed


def next_body(log: Log) -> Body:
    """Books tell by their settings' number how many of these they contain."""
    assert log.books is not None
    return Settings(log.books.fold(e.body for e in log.entries if e.body).settings.number + 1, "")


class CouncilState(NamedTuple):
    members: tuple[int, ...]
    messages: frozenset[tuple[int, int]] = frozenset()
    """(number of the member it is for, number of the message)"""
    history: tuple[int, ...] = ()
    """Numbers of what was committed: (entry, highest term in which a member found that)."""
    calls: int = 0
    proposals: int = 0
    restarts: int = 0
    losses: int = 0
    cuts: int = 0
    changes: int = 0
    gone: frozenset[int] = frozenset()
    """Those that have lost their disks: who comes with a new one is one of the newcomers."""


@dataclass(frozen=True)
class CouncilBounds:
    calls: int
    proposals: int
    restarts: int = 0
    losses: int = 0
    """Members that lose their disks."""
    cuts: int = 0
    """Times that a lead cuts its log, anywhere that it may."""
    changes: int = 0
    """Of who is in the council, as a lead may make them."""
    newcomers: int = 0
    witness_comes: bool = False
    """The last of the newcomers is one."""
    most: int = 2
    """Entries in one message, or fewer."""
    by_terms: bool = False
    """Terms one after another, each message with its answer: see `_blocks`."""


@dataclass
class CouncilWorld(Numbers):
    council: int
    bounds: CouncilBounds
    rules: CouncilRules = field(default_factory=CouncilRules)
    witness: bool = False
    """The last member of the council is one."""

    def __post_init__(self) -> None:
        super().__init__()
        self._memo: dict[tuple[int, Any], tuple[int, tuple[tuple[int, int], ...]]] = {}
        self._renamed = Renamed(self)
        self.size = self.council + self.bounds.newcomers
        self._names = [f"w{i}" for i in range(self.size)]
        place = self.council if self.witness else self.size if self.bounds.witness_comes else 0
        self._witness = f"w{place - 1}" if place else ""
        holders, newcomers = self.council - self.witness, self.size - self.bounds.witness_comes
        self._renamings = [
            (*order, *range(holders, self.council), *new, *range(newcomers, self.size))
            for order in permutations(range(holders))
            for new in permutations(range(self.council, newcomers))
        ]
        founders = Council(frozenset(self._names[:holders]), self._witness if self.witness else "")
        self._founding = Books(DataRecord.fresh(1, 1), council=founders)

    def member(self, state: CouncilState, index: int) -> CouncilMember:
        member: CouncilMember = self.thing(state.members[index])
        return member

    def founding(self) -> CouncilState:
        council = self._founding.council
        members = [
            CouncilMember(
                name,
                Log(books=self._founding if name in council.holders else None),
                witness=name == self._witness,
                rules=self.rules,
            )
            for name in self._names
        ]
        return CouncilState(tuple(self.number(member) for member in members))

    # --- what can happen

    def successors(self, state: CouncilState) -> Iterator[tuple[str, CouncilState]]:
        for message in state.messages:
            yield f"w{message[0]} gets {self.thing(message[1])}", self.deliver(state, message)
        for index in range(self.size):
            if index not in state.gone:
                yield from self._own(state, index)
                yield from self._faults(state, index)
        if state.calls < self.bounds.calls:
            counted = state._replace(calls=state.calls + 1)
            for index in range(self.size):
                yield from self._calls(counted, index)

    def _own(self, state: CouncilState, index: int) -> Iterator[tuple[str, CouncilState]]:
        member = self.member(state, index)
        if not member.leads:
            return
        if self.bounds.by_terms and member.log.promised < self._highest(state):
            return
        if state.proposals < self.bounds.proposals:
            counted = state._replace(proposals=state.proposals + 1)
            yield f"w{index} proposes", self._act(counted, index, ("propose",))
        yield from self._cuts(state, index, member)
        for other in range(self.size):
            if other != index and other not in state.gone:
                for most in range(1, self.bounds.most + 1):
                    told = self._act(state, index, ("tell", other, most))
                    outcomes = self._exchanged(told) if self.bounds.by_terms else [told]
                    yield from ((f"w{index} tells w{other} {most}", outcome) for outcome in outcomes)

    def _cuts(
        self, state: CouncilState, index: int, lead: CouncilMember
    ) -> Iterator[tuple[str, CouncilState]]:
        if state.cuts < self.bounds.cuts:
            counted = state._replace(cuts=state.cuts + 1)
            for entry in lead.log.entries:
                if self.rules.may_forget(entry.index, lead.log):
                    yield f"w{index} cuts {entry.index}", self._act(counted, index, ("cut", entry.index))
        if state.changes < self.bounds.changes:
            counted = state._replace(changes=state.changes + 1)
            for council in self._changes(lead):
                yield f"w{index} has {council}", self._act(counted, index, ("change", council))

    def _changes(self, lead: CouncilMember) -> Iterator[Council]:
        """Whatever the rules allow of: one comes, one leaves, one takes the place of another."""
        now = self.rules.council(lead.log)
        come = [frozenset(), *(frozenset({name}) for name in self._names if name not in now.members)]
        leave = [frozenset(), *(frozenset({name}) for name in sorted(now.members))]
        for new, old in product(come, leave):
            members = (now.members | new) - old
            witness = {self._witness} & members
            after = Council(members - witness, "".join(witness))
            if after != now and after.holders and lead.may_change(after):
                yield after

    def _exchanged(self, told: CouncilState) -> Iterator[CouncilState]:
        """Messages and answers, of which each may be lost.

        A member heeds terms in their order, and what is said in a term connects only members that heed it:
        any history can be put in the order of terms without any member noticing. Within one, a message that
        comes late comes to one that has heard the same or more from the same lead since, or nothing at all.
        """
        for heard in _subsets(told.messages):
            after = told._replace(messages=frozenset())
            for message in heard:
                after = self.deliver(after, message)
            for answers in _subsets(after.messages):
                answered = after._replace(messages=frozenset())
                for message in answers:
                    answered = self.deliver(answered, message)
                yield answered._replace(messages=frozenset())

    def _highest(self, state: CouncilState) -> int:
        return max(self.member(state, i).log.promised for i in range(self.size))

    def _faults(self, state: CouncilState, index: int) -> Iterator[tuple[str, CouncilState]]:
        if state.restarts < self.bounds.restarts:
            yield (
                f"w{index} restarts",
                self._act(state, index, ("restart",))._replace(restarts=state.restarts + 1),
            )
        if state.losses < self.bounds.losses:
            yield f"w{index} loses its disk", self._loses(state._replace(losses=state.losses + 1), index)

    def _loses(self, state: CouncilState, index: int) -> CouncilState:
        before = self.member(state, index)
        if before.lost(before.name + "'").name == before.name:
            return self._act(state, index, ("lose",))
        kept = frozenset(message for message in state.messages if message[0] != index)
        return state._replace(gone=state.gone | {index}, messages=kept)

    def _calls(self, state: CouncilState, index: int) -> Iterator[tuple[str, CouncilState]]:
        member = self.member(state, index)
        if member.witness or index in state.gone or member.name not in member.council:
            return
        highest = self._highest(state)
        by_terms = self.bounds.by_terms
        for term in {highest + 1} if by_terms else {member.log.promised + 1, highest + 1}:
            before = self._all_follow(state) if by_terms else state
            called = self._act(before, index, ("call", term))
            outcomes = self._exchanged(called) if by_terms else [called]
            yield from ((f"w{index} calls {term}", outcome) for outcome in outcomes)

    def _all_follow(self, state: CouncilState) -> CouncilState:
        """Who led or called in a term that is over does nothing more."""
        for index in range(self.size):
            state = self._act(state, index, ("restart",))
        return state

    # --- carrying out

    def deliver(self, state: CouncilState, message: tuple[int, int]) -> CouncilState:
        index, number = message
        return self._act(state, index, ("message", number))

    def _act(self, state: CouncilState, index: int, event: tuple[Any, ...]) -> CouncilState:
        before = state.members[index]
        key = (before, event)
        if key not in self._memo:
            after, told = self._local(self.thing(before), event)
            sent = tuple((int(to[1:]), self.number(message)) for to, message in told)
            self._memo[key] = (self.number(after), sent)
        number, sent = self._memo[key]
        members = (*state.members[:index], number, *state.members[index + 1 :])
        messages = state.messages.union(sent)
        if number != before:
            state = self._watched(state, self.thing(before), self.thing(number), lost=event == ("lose",))
        kept = frozenset(
            m
            for m in messages
            if m[0] not in state.gone and self._matters(self.thing(members[m[0]]), self.thing(m[1]))
        )
        return state._replace(members=members, messages=kept)

    def _local(self, member: CouncilMember, event: tuple[Any, ...]) -> tuple[CouncilMember, tuple[Tell, ...]]:
        kind, *rest = event
        match kind:
            case "message":
                try:
                    return member.on_message(self.thing(rest[0]))
                except Contradiction as why:
                    raise Violation(f"overwritten: {why}") from why
                except NotAdmissible as why:
                    raise Violation(f"entries do not follow from books: {why}") from why
            case "change":
                return member.propose(rest[0], ""), ()
            case "cut":
                return member.cut(rest[0]), ()
            case "call":
                return member.call(rest[0], self._names[self.council :])
            case "propose":
                return member.propose(next_body(member.log), ""), ()
            case "tell":
                return member, member.tell(f"w{rest[0]}", rest[1])
            case "restart":
                return member.restarted(), ()
        return member.lost(member.name + "'"), ()

    def _matters(self, member: CouncilMember, message: Message) -> bool:
        """False for what this member will never heed again: its delivery changes nothing."""
        log = member.log
        match message:
            case Call(term):
                return self.rules.votes(term, log.promised)
            case Vote(term):
                return term == log.promised and not isinstance(member.part, Leading)
            case Refusal(_, entries, cut):
                # One that brings no entries and never arrives allows all that one that does.
                if not entries:
                    return cut > log.last
                return entries[-1].body is not None and entries[-1].stamp > log.last
            case Store(term, _, after, entries, committed, cut):
                if not self.rules.heeds(term, log.promised):
                    return False
                last = entries[-1].stamp if entries else after
                # What is stored already was answered then, and the answer is still on the wire.
                same = log.at(last.index) == last and (
                    last.index == log.cut.index or not entries or _alike(log, entries[-1])
                )
                news = log.committed < committed or log.cut < cut
                return term != log.promised or not same or news
            case Stored(term, holder, index):
                if not isinstance(member.part, Leading):
                    return not self.rules.counts_stored(term, term + 1) or term == log.promised
                return self.rules.counts_stored(term, log.promised) and member.part.up_to(holder) < index

    # --- what must never happen

    def _watched(
        self, state: CouncilState, before: CouncilMember, after: CouncilMember, lost: bool
    ) -> CouncilState:
        if not lost and (after.log.promised, after.log.committed) < (
            before.log.promised,
            before.log.committed,
        ):
            raise Violation(f"{after.name} takes back what it has said")
        history = [self.thing(number) for number in state.history]
        self._cut_as_committed(after, history)
        for entry in after.log.after(max(before.log.committed, after.log.cut.index)):
            if entry.index > after.log.committed:
                break
            found: tuple[Entry, int] = (entry, after.log.promised)
            if entry.index > len(history):
                if entry.body is None:
                    raise Violation(f"{after.name} commits what no holder has")
                history.append(found)
            elif history[entry.index - 1][0].bare != entry.bare:
                raise Violation(f"two entries {entry.index} are committed")
            else:
                known, term = history[entry.index - 1]
                history[entry.index - 1] = (known, min(term, found[1]))
        if after.leads and not before.leads:
            self._leads_with_all(after, history)
        return state._replace(history=tuple(self.number(found) for found in history))

    def _cut_as_committed(self, member: CouncilMember, history: list[tuple[Entry, int]]) -> None:
        """What was cut off was committed, and the books are what it amounted to."""
        log = member.log
        forgotten = [entry for entry, _ in history[: log.cut.index]]
        if log.cut.index and (len(forgotten) < log.cut.index or forgotten[-1].stamp != log.cut):
            raise Violation(f"{member.name} has cut off what is not committed")
        amounted = self._founding.fold(entry.body for entry in forgotten if entry.body)
        if log.books is not None and log.books != amounted:
            raise Violation(f"{member.name} has other books than its entries amounted to")

    def _leads_with_all(self, lead: CouncilMember, history: list[tuple[Entry, int]]) -> None:
        own = lead.log.entries
        for entry, term in history[lead.log.cut.index :]:
            if term < lead.log.promised and entry not in own:
                raise Violation(f"{lead.name} leads without committed entry {entry.index}")

    # --- states that differ by names

    def canonical(self, state: CouncilState) -> CouncilState:
        if len(self._renamings) == 1:
            return state
        images = [(self._members(renaming, state), renaming) for renaming in self._renamings]
        least = min(members for members, _ in images)
        return min(
            (self._image(renaming, members, state) for members, renaming in images if members == least),
            key=lambda image: (sorted(image.messages), image.history, sorted(image.gone)),
        )

    def _members(self, renaming: tuple[int, ...], state: CouncilState) -> tuple[int, ...]:
        members = [0] * self.size
        for old, new in enumerate(renaming):
            members[new] = self._renamed(renaming, state.members[old])
        return tuple(members)

    def _image(
        self, renaming: tuple[int, ...], members: tuple[int, ...], state: CouncilState
    ) -> CouncilState:
        messages = frozenset((renaming[to], self._renamed(renaming, number)) for to, number in state.messages)
        history = tuple(self._renamed(renaming, number) for number in state.history)
        gone = frozenset(renaming[index] for index in state.gone)
        return state._replace(members=members, messages=messages, history=history, gone=gone)


def _alike(log: Log, entry: Entry) -> bool:
    """Stamps tell entries apart, unless a rule is broken."""
    return log.after(entry.index - 1)[0].bare == entry.bare


def _subsets(of: frozenset[tuple[int, int]]) -> Iterator[tuple[tuple[int, int], ...]]:
    return chain.from_iterable(combinations(sorted(of), count) for count in range(len(of) + 1))
