"""A pod's part in votes: it answers calls, and makes calls of its own.

A frozen state; each method returns the next one with the actions to carry out, in order. Which calls
to make, and when, is decided elsewhere: whatever is called, in whatever order messages come, two
formations never both go on.
"""

from collections.abc import Iterable
from dataclasses import dataclass, field, replace

from edgetrain.group.members import Formation, Member, Pod
from edgetrain.group.record import Record
from edgetrain.group.rules import Outcome, Rules, Verdict, Vote
from edgetrain.group.said import Call, Established, Refusal, Said
from edgetrain.link.messages import Position

# --- what to do


@dataclass(frozen=True)
class Persist:
    """Durable before anything that follows in the list."""

    record: Record


@dataclass(frozen=True)
class Tell:
    pod: Pod
    message: Said


@dataclass(frozen=True)
class Stopping:
    """The trainer must leave its group and say where it stands."""

    formation: Formation


@dataclass(frozen=True)
class Forming:
    """The trainer may take part in this formation."""

    established: Established


@dataclass(frozen=True)
class Failed:
    """Our own call came to nothing."""

    formation: Formation
    verdict: Verdict


Action = Persist | Tell | Stopping | Forming | Failed
Actions = tuple[Action, ...]


@dataclass(frozen=True)
class OwnCall:
    asking: Call
    votes: tuple[Vote, ...] = ()

    @property
    def formation(self) -> Formation:
        return self.asking.formation

    @property
    def complete(self) -> bool:
        """All have voted."""
        return len(self.votes) == len(self.asking.voters)


@dataclass(frozen=True)
class Voter:
    record: Record
    member: Member | None = None
    """The incarnation of our trainer that may take part; None while there is none."""
    position: Position = field(default_factory=Position)
    clean: bool = True
    engaged: Formation | None = None
    """The formation that the trainer is in and has not left."""
    pending: Formation | None = None
    """The call to answer once the trainer has left its formation."""
    caller: Pod | None = None
    """Of the pending call."""
    own: OwnCall | None = None
    declared: frozenset[Record] = frozenset()
    """The newest record of each other pod of which an incarnation is declared ended."""
    empty: frozenset[Formation] = frozenset()
    """In which nothing was committed, by the records that others have shown."""
    rules: Rules = field(default_factory=Rules, compare=False, hash=False)

    # --- our own calls

    def call(self, formation: Formation, witnesses: tuple[Member, ...] = ()) -> tuple["Voter", Actions]:
        """Ask for votes for `formation`, whose number we have not promised; an older call is dropped."""
        asking = Call(self.record.history, formation, witnesses)
        others = [m.home for m in asking.voters if m != self.member]
        begun = replace(self, own=OwnCall(asking))
        after, actions = begun.on_call(self.record.pod, asking)
        return after, (*(Tell(pod, asking) for pod in others), *actions)

    def withdraw(self) -> "Voter":
        """Give our call up: votes that still come for it are passed over, so it is never established."""
        return replace(self, own=None)

    @property
    def closed(self) -> int:
        """The highest number that we will not vote for any more."""
        return max(self.record.promised, self.pending.number if self.pending else 0)

    # --- messages

    def on_said(self, sender: Pod, message: Said) -> tuple["Voter", Actions]:
        match message:
            case Call():
                return self.on_call(sender, message)
            case Vote():
                return self.on_vote(message)
            case Refusal():
                return self.on_refusal(message)
            case Established():
                return self.on_established(message)

    def on_call(self, sender: Pod, call: Call) -> tuple["Voter", Actions]:
        """`sender` is the caller."""
        if reason := self._refuses(call):
            refusal = Refusal(self.record.history, call.formation, self.closed, reason)
            return self._say(sender, refusal)
        waiting = replace(self, pending=call.formation, caller=sender)
        if self.engaged is not None:
            return waiting, (Stopping(self.engaged),)
        return waiting._vote()

    def on_vote(self, vote: Vote) -> tuple["Voter", Actions]:
        own = self.own
        if own is None or vote.formation != own.formation or vote.voter not in own.asking.voters:
            return self, ()
        others = tuple(v for v in own.votes if v.voter != vote.voter)
        own = replace(own, votes=(*others, vote))
        counting = replace(self, own=own)
        return counting._judge(own) if own.complete else (counting, ())

    def on_refusal(self, refusal: Refusal) -> tuple["Voter", Actions]:
        if self.own is None or self.own.formation != refusal.formation:
            return self, ()
        verdict = Verdict(Outcome.OUTDATED, refusal.reason, promised=refusal.promised)
        return replace(self, own=None), (Failed(refusal.formation, verdict),)

    def on_established(self, word: Established) -> tuple["Voter", Actions]:
        """Take part, unless we have voted for another since, or our trainer is not the one that voted."""
        last = self.record.accepted[-1] if self.record.accepted else None
        if last is None or last.formation != word.formation or last.formed or self.pending is not None:
            return self, ()
        if self.member not in word.formation.members or word.history != self.record.history:
            return self, ()
        record = self.record.form(word.formation)
        return replace(self, record=record, engaged=word.formation, clean=False), (Forming(word),)

    def on_record(self, record: Record) -> "Voter":
        """A pod declares which of its trainer's incarnations are over."""
        others = frozenset(r for r in self.declared if r.pod != record.pod)
        known = next((r for r in self.declared if r.pod == record.pod), None)
        newer = known is None or (record.history, record.serial) > (known.history, known.serial)
        relevant = record.history == self.record.history and record.ended and record.pod != self.record.pod
        return replace(self, declared=others | {record}) if newer and relevant else self

    # --- our own trainer

    def on_left(self, position: Position, clean: bool) -> tuple["Voter", Actions]:
        """The trainer has left its formation for good and stands at `position`."""
        left = replace(self, engaged=None, position=position, clean=clean)._learn(position)
        return left._vote() if left.pending is not None else (left, ())

    def on_position(self, position: Position) -> "Voter":
        """What the trainer has reached while it is in no formation, or on its way in one."""
        return replace(self, position=position)._learn(position)

    def on_member(self, member: Member) -> "Voter":
        """A trainer process is ready; it is in no formation."""
        return replace(self, member=member, engaged=None, position=Position(), clean=True)

    def on_ended(self, member: Member) -> tuple["Voter", Actions]:
        """Our trainer's process is over. To be called before another one is started."""
        record = self.record.end(member)
        ended = replace(self, record=record, member=None, engaged=None, pending=None, own=None)
        return ended, (Persist(record),)

    def may_adopt(self, base: Formation) -> bool:
        """Whether our trainer may drop its state for that of members of `base`, which has committed.

        Not where that state may be needed: in a formation newer than `base`, or in one as old.
        """
        known = (self.record.base, *(a.formation for a in self.record.accepted if a.formed))
        needed = any(f.number >= base.number and self.member in f.members for f in known)
        return self.engaged is None and self.pending is None and not needed

    def adopt(self, base: Formation) -> tuple["Voter", Actions]:
        """Before our trainer drops its state: whoever counts on that learns from us that it is outdated."""
        record = self.record.committed_in(base)
        return replace(self, record=record), (Persist(record),)

    # --- within

    def _refuses(self, call: Call) -> str:
        if call.history != self.record.history:
            return f"this is {self.record.history}"
        if call.formation.number <= self.closed:
            return f"number {self.closed} was promised"
        if self.member is None or self.member not in call.voters:
            return "this is not a member called"
        if self.record.stranger and self.record.base.founding:
            return "this generation began without this pod, or it has forgotten how"
        return ""

    def _vote(self) -> tuple["Voter", Actions]:
        assert self.pending is not None and self.member is not None and self.caller is not None
        record = self.record.accept(self.pending)
        # State of another history is no state in this one.
        ours = self.position.history == record.history
        position = self.position if ours else Position(record.history, committed=-1)
        vote = Vote(self.pending, self.member, record, position, self.clean)
        # Whoever else's call we answer, our own can never be established any more.
        own = self.own if self.own and self.own.formation == self.pending else None
        voted = replace(self, record=record, pending=None, caller=None, own=own)
        after, actions = voted._say(self.caller, vote)
        return after, (Persist(record), *actions)

    def _judge(self, own: OwnCall) -> tuple["Voter", Actions]:
        votes = {vote.voter: vote for vote in own.votes}
        verdict = self.rules.judge(own.formation, votes, self.declared, self.empty)
        closed = replace(self, own=None)
        if verdict.outcome is not Outcome.ESTABLISHED:
            return closed, (Failed(own.formation, verdict),)
        word = Established(
            self.record.history, own.formation, verdict.current, verdict.decision, verdict.step
        )
        return closed._spread(word, (m.home for m in own.formation.members))

    def _spread(self, word: Established, pods: Iterable[Pod]) -> tuple["Voter", Actions]:
        """Others first: they have further to go."""
        others = tuple(Tell(pod, word) for pod in pods if pod != self.record.pod)
        after, actions = self.on_established(word)
        return after, (*others, *actions)

    def _say(self, pod: Pod, message: Vote | Refusal) -> tuple["Voter", Actions]:
        """What we say to ourselves takes no way."""
        if pod != self.record.pod:
            return self, (Tell(pod, message),)
        return self.on_vote(message) if isinstance(message, Vote) else self.on_refusal(message)

    def _learn(self, position: Position) -> "Voter":
        if position.formation is None or position.formation.history != self.record.history:
            return self
        formation = self.record.find(position.formation.number)
        return replace(self, record=self.record.committed_in(formation)) if formation else self
