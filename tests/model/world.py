"""A world of pods around the very ballots that supervisors run, small enough to explore all of it.

Asynchrony does the faults' work. A message that is lost, a member that is stopped, a partition and a
power cut without return are all things that do not happen (yet); a delay, a wake-up and a healed
partition are things that happen late. Any thing that can happen may happen next, or never.

Local states and messages are numbered, and each local transition is computed once: the global state
is a few small integers.
"""

from collections.abc import Iterable, Iterator
from dataclasses import dataclass, field, replace
from functools import cached_property
from itertools import chain, combinations
from typing import Any, NamedTuple

from edgetrain.group.effects import Announce
from edgetrain.group.members import Formation, Member, Pod, names
from edgetrain.group.record import Record
from edgetrain.group.rules import Rules, Vote
from edgetrain.group.said import Call, Established, Refusal
from edgetrain.group.set_aside import SetAsideRecords
from edgetrain.group.status import PlanView
from edgetrain.group.voter import Action, Actions, Forming, Persist, Stopping, Tell, Voter
from edgetrain.link.messages import Decision, FormationId, Position, Prepared
from tests.model.numbers_of import Numbers
from tests.model.search import Violation
from tests.support.histories import FIRST

HISTORY = FIRST


@dataclass(frozen=True)
class Node:
    """A pod: its ballot, what is on its disk, and its trainer's formation as the trainer sees it."""

    ballot: Voter
    disk: Record
    starts: int = 0
    word: Established | None = None
    """What the trainer's group was formed by, while it is in it."""
    held: frozenset[Member] = frozenset()
    """Whose samples are in its scratch."""
    asked: bool = False
    """The trainer was told to leave, and has not answered yet."""


class State(NamedTuple):
    nodes: tuple[int, ...]
    messages: frozenset[tuple[int, int]]
    """(number of the pod it is for, number of the message)"""
    facts: frozenset[tuple[int, int, int, int]]
    """What members put on the wire, which stays there: (what, number of the formation, step, pod)."""
    history: tuple[frozenset[Member], ...]
    """Whose samples each committed step contains."""
    calls: int = 0
    ends: int = 0
    fetches: int = 0


FORMED, CONTRIBUTED, ENTERED = range(3)


class Training(NamedTuple):
    """What a trainer can do next, all else allowing."""

    what: str
    step: int
    formation: int
    """Its number here."""
    needs: frozenset[tuple[int, int, int, int]]


@dataclass(frozen=True)
class Bounds:
    calls: int
    steps: int
    ends: int = 0
    fetches: int = 0
    slow_halt: bool = False
    blocks: bool = False
    """Each call runs in one go: see World.block."""
    missing: int = 99
    """At most so many of those whom a message of a block is for do not get it; or none gets it."""
    witnesses: int = 0
    """At most so many vote in a call and are not to be in its formation."""
    moves: bool = False
    """Of the ends, some are moves: to another group and back, of which this one hears or does not."""
    apply_unbuilt: bool = False
    """Wrongly: a step in doubt is applied as soon as a trainer is told to, before its group is built."""


@dataclass
class World(Numbers):
    size: int
    bounds: Bounds
    rules: Rules = field(default_factory=Rules)
    founders: int = 0
    """How many of the pods are founders; 0: all. The rest are newcomers."""

    def __post_init__(self) -> None:
        super().__init__()
        self._ables: dict[int, Training | None] = {}
        self._memo: dict[tuple[int, Any], tuple[int, tuple[tuple[int, int], ...]]] = {}

    def node(self, state: State, pod: int) -> Node:
        node: Node = self._things[state.nodes[pod]]
        return node

    @cached_property
    def pods(self) -> tuple[Pod, ...]:
        return tuple(Pod(f"w{i}", f"p{i}") for i in range(self.size))

    # --- beginnings

    def member(self, pod: int, start: int = 0) -> Member:
        return Member(*self.pods[pod], f"i{start}")

    @property
    def _founders(self) -> tuple[Member, ...]:
        return tuple(self.member(i).founder() for i in range(self.founders or self.size))

    def founding(self) -> State:
        """All trainers are ready, none has trained."""
        base = Formation(0, self._founders, "w0")
        nodes = []
        for pod, home in enumerate(self.pods):
            record = Record(home, HISTORY, base)
            ballot = Voter(record, rules=self.rules).on_member(self.member(pod))
            nodes.append(Node(ballot.on_position(Position(HISTORY)), record))
        return State(tuple(self.number(n) for n in nodes), frozenset(), frozenset(), ())

    def running(self) -> State:
        """All founders are in formation 1, have committed in it and are about to train step 1."""
        state = self.founding()
        first = Formation(1, tuple(self.member(i) for i in range(self.founders or self.size)), "w0")
        state = self.call(state, 0, Call(HISTORY, first))
        while state.messages:
            state = self.deliver(state, min(state.messages))
        for pod in range(self.founders or self.size):
            state = self.act(state, pod, ("has committed in", first))
        return state._replace(calls=0)

    # --- what can happen

    def successors(self, state: State) -> Iterator[tuple[str, State]]:
        for pod, number in state.messages:
            yield f"w{pod} gets {self._things[number]}", self.deliver(state, (pod, number))
        for pod in range(self.size):
            yield from self.training(state, pod)
            yield from self.faults(state, pod)
        if state.calls < self.bounds.calls:
            yield from self.calling(state)

    def calling(self, state: State) -> Iterator[tuple[str, State]]:
        for pod, called, witnesses in self.calls(state):
            for number in self.numbers(state, (*called, *witnesses)):
                asking = Call(HISTORY, Formation(number, called, self.aggregator(pod, called)), witnesses)
                event = f"w{pod} calls {number} of {names(called)}, seen by {names(witnesses) or 'nobody'}"
                if self.bounds.blocks:
                    yield from self.block(state, pod, asking, event)
                else:
                    yield event, self.call(state, pod, asking)

    def block(self, state: State, pod: int, asking: Call, event: str) -> Iterator[tuple[str, State]]:
        """A call with all that comes of it, in one go.

        Calls, votes and forming connect only pods that have voted for the same number as their last. So
        any history can be put in the order of numbers, call by call, without any pod noticing.
        """
        begun = self.call(self._without_old(state), pod, asking)
        for asked, voted in self._some_get(begun, Call):
            completed = [m for m in voted.messages if isinstance(self._things[m[1]], Vote)]
            for message in completed:
                voted = self.deliver(voted, message)
            for built, after in self._some_get(voted, Established):
                yield f"{event}: heard by {asked}, built by {built}", self._without_old(after)

    def _some_get(self, state: State, kind: type) -> Iterator[tuple[list[int], State]]:
        """Each set of receivers of the messages of a kind."""
        waiting = sorted(m for m in state.messages if _is(self._things[m[1]], kind))
        few = range(1, max(1, len(waiting) - self.bounds.missing))
        for count in (n for n in range(len(waiting) + 1) if n not in few):
            for chosen in combinations(waiting, count):
                after = state
                for message in chosen:
                    after = self.deliver(after, message)
                yield [pod for pod, _ in chosen], after

    def _without_old(self, state: State) -> State:
        """Whoever did not get a message of an old call never does, and who called gives up."""
        for pod in range(self.size):
            if self.node(state, pod).ballot.own is not None:
                state = self.act(state, pod, ("withdraw",))
        kept = frozenset(m for m in state.messages if _is(self._things[m[1]], Record))
        return state._replace(messages=kept)

    def numbers(self, state: State, called: tuple[Member, ...]) -> set[int]:
        """High enough for those called, or for all: callers learn numbers by refusals and by hearsay."""
        ballots = [self.node(state, i).ballot for i in range(self.size)]
        closed = {ballot.member: ballot.closed for ballot in ballots}
        return {1 + max(closed[m] for m in called), 1 + max(closed.values())}

    def aggregator(self, pod: int, called: tuple[Member, ...]) -> str:
        """All but w0 are alike to this rule: so states that differ by their names can be told for one."""
        return "w0" if any(m.worker == "w0" for m in called) else f"w{pod}"

    def calls(self, state: State) -> Iterator[tuple[int, tuple[Member, ...], tuple[Member, ...]]]:
        """Anybody may call any set of trainers with itself in it, and any others as witnesses: no policy is
        safer than any policy."""
        members = {i: m for i in range(self.size) if (m := self.node(state, i).ballot.member)}
        for chosen in _some(members, range(1, len(members) + 1)):
            for watching in _some(members.keys() - chosen, range(self.bounds.witnesses + 1)):
                for pod in chosen:
                    yield pod, tuple(members[i] for i in chosen), tuple(members[i] for i in watching)

    def faults(self, state: State, pod: int) -> Iterator[tuple[str, State]]:
        node = self.node(state, pod)
        if node.asked:
            yield f"w{pod} has left", self.act(state, pod, ("left",))
        if state.ends < self.bounds.ends and node.ballot.member is not None:
            for kind in ("trainer ends", "pod restarts", *["moves away and back"] * self.bounds.moves):
                yield f"w{pod} {kind}", self.act(state, pod, (kind,))._replace(ends=state.ends + 1)
        if state.fetches < self.bounds.fetches:
            for donor in range(self.size):
                if (after := self.fetch(state, pod, donor)) is not None:
                    yield f"w{pod} fetches from w{donor}", after

    # --- the trainers and their process groups

    def training(self, state: State, pod: int) -> Iterator[tuple[str, State]]:
        """One local step of a trainer: apply the step in doubt, commit or prepare."""
        able = self._able(state.nodes[pod])
        if able is None or not able.needs <= state.facts:
            return
        if able.what == "prepares":
            after = self.act(state, pod, ("prepared", able.step))
            after = self.note(after, ENTERED, able.formation, able.step, pod)
        else:
            after = self.commit(state, pod, able)
        yield f"w{pod} {able.what} {able.step}", after

    def _able(self, number: int) -> Training | None:
        if number not in self._ables:
            self._ables[number] = self._next_of(self._things[number])
        return self._ables[number]

    def _next_of(self, node: Node) -> Training | None:
        if (word := node.word) is None:
            return None
        position, step = node.ballot.position, node.ballot.position.committed + 1
        if word.decision is Decision.APPLY and position.committed < word.step:
            if self.bounds.apply_unbuilt:
                return Training("applies", step, self.number(word.formation), frozenset())
            return self._needing("applies", word.formation, step, FORMED, 0)
        if position.prepared == Prepared(_id(word.formation), step):
            return self._needing("commits", word.formation, step, ENTERED, step)
        if step <= self.bounds.steps:
            return self._needing("prepares", word.formation, step, CONTRIBUTED, step)
        return None

    def _needing(self, what: str, formation: Formation, step: int, fact: int, of: int) -> Training:
        number = self.number(formation)
        pods = (self.pods.index(m.home) for m in formation.members)
        return Training(what, step, number, frozenset((fact, number, of, pod) for pod in pods))

    def note(self, state: State, what: int, formation: int, step: int, pod: int) -> State:
        return state._replace(facts=state.facts | {(what, formation, step, pod)})

    def commit(self, state: State, pod: int, able: Training) -> State:
        step, node = able.step, self.node(state, pod)
        if node.ballot.position.prepared is None or node.ballot.position.prepared.step != step:
            raise Violation(f"step {step} is applied where it was never prepared")
        if len(state.history) >= step and state.history[step - 1] != node.held:
            raise Violation(f"step {step} is {set(node.held)} after {set(state.history[step - 1])}")
        if len(state.history) < step - 1:
            raise Violation(f"step {step} is committed after {len(state.history)}")
        if len(state.history) < step:
            state = state._replace(history=(*state.history, node.held))
        after = self.act(state, pod, ("committed", step))
        # Contributing as early as possible loses nothing: others may take their time to use it.
        return self.note(after, CONTRIBUTED, able.formation, step + 1, pod)

    def fetch(self, state: State, pod: int, donor: int) -> State | None:
        """A newcomer, or one that was put out, takes a donor's state, of a formation that has committed."""
        giver, taker = self.node(state, donor), self.node(state, pod).ballot
        base = giver.ballot.record.base
        if donor == pod or giver.word is None or base != giver.word.formation or taker.member is None:
            return None
        if taker.engaged is not None:
            state = self.act(state, pod, ("left",))
            taker = self.node(state, pod).ballot
        position = replace(giver.ballot.position, prepared=None)
        if position == taker.position or not taker.may_adopt(base):
            return None
        after = self.act(state, pod, ("fetch", base, position))
        return after._replace(fetches=state.fetches + 1)

    # --- carrying out

    def call(self, state: State, pod: int, asking: Call) -> State:
        return self.act(state, pod, ("call", asking))._replace(calls=state.calls + 1)

    def deliver(self, state: State, message: tuple[int, int]) -> State:
        pod, number = message
        left = state._replace(messages=state.messages - {message})
        return self.act(left, pod, ("message", number))

    def act(self, state: State, pod: int, event: Any) -> State:
        before = state.nodes[pod]
        if (before, event) not in self._memo:
            node, sent = self._local(self._things[before], event)
            self._memo[before, event] = self.number(node), sent
        after, sent = self._memo[before, event]
        nodes = (*state.nodes[:pod], after, *state.nodes[pod + 1 :])
        kept = frozenset(m for m in state.messages.union(sent) if m[0] != pod or self._matters(after, m[1]))
        changed = self._formed(state._replace(nodes=nodes, messages=kept), pod, before)
        return self._counted(self._without_abandoned(changed, before, after), sent)

    def _without_abandoned(self, state: State, before: int, after: int) -> State:
        """What was said in a group that nobody is in any more, and nobody can come to, is forgotten."""
        left = self._things[before].word
        if left is None or left == self._things[after].word or self._is_open(state, left):
            return state
        number = self.number(left.formation)
        return state._replace(facts=frozenset(f for f in state.facts if f[1] != number))

    def _is_open(self, state: State, word: Established) -> bool:
        words = (self._things[number].word for number in state.nodes)
        return any(w == word for w in words) or any(self._things[m[1]] == word for m in state.messages)

    def _counted(self, state: State, sent: tuple[tuple[int, int], ...]) -> State:
        """A vote that is not the last one missing can be counted at once: nothing else depends on when."""
        for message in sent:
            pod, number = message
            vote = self._things[number]
            if isinstance(vote, Vote) and message in state.messages:
                own = self.node(state, pod).ballot.own
                if own and len(own.votes) + 1 < len(own.asking.voters):
                    state = self.deliver(state, message)
        return state

    def _formed(self, state: State, pod: int, before: int) -> State:
        node = self.node(state, pod)
        word, position = node.word, node.ballot.position
        if word is None or word == self._things[before].word:
            return state
        number, step = self.number(word.formation), position.committed + 1
        state = self.note(state, FORMED, number, 0, pod)
        if word.decision is Decision.APPLY and step <= word.step:
            return state
        return self.note(state, CONTRIBUTED, number, step, pod)

    def _local(self, node: Node, event: Any) -> tuple[Node, tuple[tuple[int, int], ...]]:
        kind, *rest = event
        if kind == "message":
            return self._heard(node, self._things[rest[0]])
        if kind == "call":
            return self._carry(node, *node.ballot.call(rest[0].formation, rest[0].witnesses))
        if kind == "left":
            return self._left(node)
        if kind == "has committed in":
            ballot = node.ballot.on_position(Position(HISTORY, _id(rest[0])))
            return replace(node, ballot=ballot, disk=ballot.record), ()
        if kind == "withdraw":
            return replace(node, ballot=node.ballot.withdraw()), ()
        if kind in ("trainer ends", "pod restarts"):
            return self._ended(node, kind)
        if kind == "moves away and back":
            return self._moved(node)
        if kind == "fetch":
            ballot, actions = node.ballot.adopt(rest[0])
            return self._carry(replace(node, held=frozenset()), ballot.on_position(rest[1]), actions)
        return self._trained(node, kind, rest[0]), ()

    def _trained(self, node: Node, kind: str, step: int) -> Node:
        assert node.word is not None
        here, position = _id(node.word.formation), node.ballot.position
        if kind == "committed":
            assert position.prepared is not None
            position = Position(HISTORY, position.prepared.formation, step)
            return replace(node, ballot=node.ballot.on_position(position), held=frozenset())
        ballot = node.ballot.on_position(replace(position, prepared=Prepared(here, step)))
        return replace(node, ballot=ballot, held=frozenset(node.word.formation.members))

    def _heard(self, node: Node, message: Any) -> tuple[Node, tuple[tuple[int, int], ...]]:
        ballot = node.ballot
        match message:
            case (Pod() as sender, Call() as call):
                return self._carry(node, *ballot.on_call(sender, call))
            case Vote():
                return self._carry(node, *ballot.on_vote(message))
            case Established():
                return self._carry(node, *ballot.on_established(message))
            case Record():
                return replace(node, ballot=ballot.on_record(message)), ()
        raise TypeError(message)

    def _left(self, node: Node) -> tuple[Node, tuple[tuple[int, int], ...]]:
        gone = replace(node, word=None, asked=False)
        return self._carry(gone, *gone.ballot.on_left(gone.ballot.position, clean=True))

    def _ended(self, node: Node, kind: str) -> tuple[Node, tuple[tuple[int, int], ...]]:
        """With the trainer ends what it held; with the pod's containers what its supervisor held too."""
        ballot, member = node.ballot, node.ballot.member
        assert member is not None
        if kind == "pod restarts":
            ballot = replace(Voter(node.disk.recovered(), rules=self.rules), member=member)
        ballot, actions = ballot.on_ended(member)
        starts = node.starts + 1
        fresh = ballot.on_member(replace_incarnation(node.ballot.member, starts))
        fresh = fresh.on_position(Position(HISTORY))
        after, sent = self._carry(Node(fresh, node.disk, starts), fresh, actions)
        others = (i for i, pod in enumerate(self.pods) if pod != ballot.record.pod)
        return after, (*sent, *((i, self.number(ballot.record)) for i in others))

    def _moved(self, node: Node) -> tuple[Node, tuple[tuple[int, int], ...]]:
        """Its trainer ends with the first move, and its votes are set aside until the second."""
        record, member, kept = node.ballot.record, node.ballot.member, SetAsideRecords([])
        elsewhere = PlanView(HISTORY._replace(group="other"), 1, (), (), (record.pod,))
        here = PlanView(HISTORY, 1, (), (), tuple(m.home for m in self._founders))
        away, effects = kept.enter(record.pod, elsewhere, record, member)
        back, _ = kept.enter(record.pod, here, away, None)
        starts = node.starts + 1
        fresh = Voter(back, rules=self.rules).on_member(replace_incarnation(member, starts))
        told = [self.number(e.message) for e in effects if isinstance(e, Announce)]
        others = [i for i, pod in enumerate(self.pods) if pod != record.pod]
        return Node(fresh.on_position(Position(HISTORY)), back, starts), tuple(
            (i, number) for i in others for number in told
        )

    def _carry(self, node: Node, ballot: Voter, actions: Actions) -> tuple[Node, tuple[tuple[int, int], ...]]:
        node = replace(node, ballot=ballot)
        sent: list[tuple[int, int]] = []
        for action in actions:
            node = self._do(node, action, sent)
        if node.asked and not self.bounds.slow_halt:
            after, more = self._left(node)
            return after, (*sent, *more)
        return node, tuple(sent)

    def _do(self, node: Node, action: Action, sent: list[tuple[int, int]]) -> Node:
        match action:
            case Persist(record):
                # Without restarts nobody reads it: states that differ in it alone are the same.
                return replace(node, disk=record) if self.bounds.ends else node
            case Tell(pod, message):
                if not isinstance(message, Refusal):  # one that never arrives allows all that one that does
                    said = (node.ballot.record.pod, message) if isinstance(message, Call) else message
                    sent.append((self.pods.index(pod), self.number(said)))
            case Stopping():
                return replace(node, asked=True)
            case Forming(word):
                return replace(node, word=word)
        return node

    def _matters(self, node: int, number: int) -> bool:
        """False for a message that this pod will never heed again: its delivery changes nothing."""
        ballot: Voter = self._things[node].ballot
        match self._things[number]:
            case (Pod(), Call(formation=formation) as asking):
                return formation.number > ballot.closed and ballot.member in asking.voters
            case Vote(formation=formation):
                return ballot.own is not None and ballot.own.formation == formation
            case Established(formation=formation):
                return ballot.record.promised == formation.number and ballot.member in formation.members
        return True


def _some(of: Iterable[int], counts: Iterable[int]) -> Iterator[tuple[int, ...]]:
    return chain.from_iterable(combinations(sorted(of), count) for count in counts)


def replace_incarnation(member: Member | None, starts: int) -> Member:
    assert member is not None
    return member._replace(incarnation=f"i{starts}")


def _id(formation: Formation) -> FormationId:
    return FormationId(HISTORY, formation.number, formation.revision)


def _is(thing: Any, kind: type) -> bool:
    """A call travels with its sender."""
    return isinstance(thing[1] if kind is Call and isinstance(thing, tuple) else thing, kind)
