"""A member of the council: it votes for who leads, and stores what the lead says.

A frozen state; each method returns the next one with what to tell whom. The log is to be durable before any
of it is sent. When to call is decided elsewhere: whoever calls, in whatever order messages come, nothing that
was committed is lost, and no two entries of one index are ever committed.
"""

from collections.abc import Collection
from dataclasses import dataclass, field, replace
from typing import NamedTuple, Self

from edgetrain.rounds.books import Books
from edgetrain.rounds.council_messages import Call, Message, Refusal, Store, Stored, Vote
from edgetrain.rounds.council_rules import CouncilRules
from edgetrain.rounds.entries import Body, Council, Opened
from edgetrain.rounds.log import Log, Stamp

EMPTY = Log()
MOST_ENTRIES = 256
"""In one message."""


class Tell(NamedTuple):
    to: str
    message: Message


@dataclass(frozen=True)
class Following:
    """What the others decide."""


FOLLOWING = Following()


@dataclass(frozen=True)
class Calling:
    """For the term that is promised to itself."""

    votes: frozenset[Vote]


@dataclass(frozen=True)
class Leading:
    stored: frozenset[tuple[str, int]]
    """Of each of the others that was heard in this term: up to where its log is this one."""

    def up_to(self, holder: str) -> int:
        return dict(self.stored).get(holder, 0)

    def has(self, holder: str, index: int) -> Self:
        if index < self.up_to(holder):
            return self
        return replace(self, stored=frozenset({**dict(self.stored), holder: index}.items()))


Next = tuple["CouncilMember", tuple[Tell, ...]]


@dataclass(frozen=True)
class CouncilMember:
    name: str
    """Of its disk, not only of its node."""
    log: Log = EMPTY
    part: Following | Calling | Leading = FOLLOWING
    """Forgotten with a restart."""
    witness: bool = False
    """It has room for stamps, not for models: it never leads."""
    rules: CouncilRules = field(default_factory=CouncilRules, compare=False, hash=False)

    @property
    def council(self) -> frozenset[str]:
        """Of whom it counts more than half. Nobody at a witness, which counts no one."""
        return self.rules.council(self.log).members

    @property
    def leads(self) -> bool:
        """As far as it knows: another may lead a higher term."""
        return isinstance(self.part, Leading)

    # --- what it does by itself

    def call(self, term: int, newcomers: Collection[str] = ()) -> Next:
        """Ask the others for their votes. Newcomers are asked as well: they count for nothing, and may be the
        only ones left who have what another holder stored before it was lost.

        Raises:
            ValueError: it must not lead, or has promised this term.
        """
        if self.witness or self.name not in self.council or term <= self.log.promised:
            raise ValueError(f"{self.name} cannot call term {term}")
        log = self.log.promise(term)
        asking = Call(term, self.name, self.rules.ends(log), log.committed)
        calling = replace(self, log=log, part=Calling(frozenset()))
        after, told = calling._count_votes()
        asked = sorted(self._others | (set(newcomers) - {self.name}))
        return after, (*(Tell(other, asking) for other in asked), *told)

    def propose(self, body: Body, digest: str) -> Self:
        """Write an entry, as the lead; it is then to be stored by others.

        Raises:
            ValueError: it does not lead, or the council must not be changed so now.
        """
        if not isinstance(self.part, Leading):
            raise ValueError(f"{self.name} does not lead")
        if isinstance(body, Council) and not self.may_change(body):
            raise ValueError(f"{self.name} cannot have {sorted(body.members)} follow {sorted(self.council)}")
        return replace(self, log=self.log.append(body, digest))._count_stored(self.part)

    @property
    def changes(self) -> bool:
        """Whether it leads, and one may come or leave with its next entry."""
        log, rules = self.log, self.rules
        return self.leads and rules.change_before_is_over(log) and rules.own_term_is_committed(log)

    def may_change(self, council: Council) -> bool:
        """Whether it may be the next entry of this lead."""
        return self.changes and self.rules.one_at_a_time(self.rules.council(self.log), council)

    def tell(self, holder: str, most: int = MOST_ENTRIES) -> tuple[Tell, ...]:
        """The first `most` entries that `holder` lacks, as far as the lead knows; to be said again while it
        does not answer. Newcomers are told before they are in the council, so that it does not wait for
        them."""
        if not isinstance(self.part, Leading):
            return ()
        has, log = self.part.up_to(holder), self.log
        books = log.books if has <= log.cut.index else None
        after = log.at(max(has, log.cut.index))
        assert after is not None
        entries = log.after(after.index)[:most]
        store = Store(log.promised, self.name, after, entries, log.committed, log.cut, books)
        return (Tell(holder, store),)

    def cut(self, index: int) -> Self:
        """Forget the entries up to `index`, as the lead: others do so once they have committed them. How far
        a log may be cut is decided elsewhere (`compaction.cut_at`).

        Raises:
            ValueError: it does not lead, or they are not committed.
        """
        if not self.leads or not self.rules.may_forget(index, self.log):
            raise ValueError(f"{self.name} cannot forget entries up to {index}")
        return replace(self, log=self.log.forget(index))

    def restarted(self) -> Self:
        """As it is read from disk."""
        return replace(self, part=FOLLOWING)

    def lost(self, fresh: str) -> Self:
        """With a new disk: `fresh` is a name that nobody has had."""
        return replace(self, name=self.rules.name_after_loss(self.name, fresh), log=EMPTY, part=FOLLOWING)

    # --- messages

    def on_message(self, message: Message) -> Next:
        match message:
            case Call():
                return self.on_call(message)
            case Vote():
                return self.on_vote(message)
            case Refusal():
                return self.on_refusal(message)
            case Store():
                return self.on_store(message)
            case Stored():
                return self.on_stored(message)

    def on_call(self, call: Call) -> Next:
        log, rules = self.log, self.rules
        if not rules.may_lead(call.last, rules.ends(log)):
            return self, (Tell(call.caller, self._rest_for(call)),)
        if not rules.votes(call.term, log.promised):
            return self, (Tell(call.caller, Refusal(log.promised)),)
        voted = replace(self, log=log.promise(call.term), part=FOLLOWING)
        return voted, (Tell(call.caller, Vote(call.term, self.name, log.committed)),)

    def on_vote(self, vote: Vote) -> Next:
        if not isinstance(self.part, Calling) or vote.term != self.log.promised:
            return self, ()
        return replace(self, part=Calling(self.part.votes | {vote}))._count_votes()

    def on_refusal(self, refusal: Refusal) -> Next:
        """Whoever has promised a higher term would refuse us again: the next call is above it."""
        overtaken = refusal.promised > self.log.promised
        after = replace(self, log=self.log.promise(refusal.promised))
        after = replace(after, part=FOLLOWING) if overtaken else after
        return after._with(refusal), ()

    def on_store(self, store: Store) -> Next:
        if not self.rules.heeds(store.term, self.log.promised):
            return self, (Tell(store.lead, Refusal(self.log.promised)),)
        log = self._begun(store.cut, store.books).promise(store.term)
        index = log.committed
        if log.follows(store.after):
            index = store.after.index + len(store.entries)
            log = log.store([entry.bare for entry in store.entries] if self.witness else store.entries)
        # Not what lies beyond `index`: it may be of another lead.
        log = log.commit(min(store.committed, index))
        log = log.forget(min(store.cut.index, log.committed))
        following = replace(self, log=log, part=FOLLOWING)
        return following, (Tell(store.lead, Stored(store.term, self.name, index)),)

    def on_stored(self, stored: Stored) -> Next:
        if not isinstance(self.part, Leading) or not self.rules.counts_stored(stored.term, self.log.promised):
            return self, ()
        return self._count_stored(self.part.has(stored.holder, stored.index)), ()

    # --- within

    @property
    def _others(self) -> frozenset[str]:
        return self.council - {self.name}

    def _rest_for(self, call: Call) -> Refusal:
        """What its caller lacks of our log."""
        log = self.log
        if call.committed < log.cut.index:
            return Refusal(log.promised, log.entries, log.cut, log.books)
        return Refusal(log.promised, log.after(call.committed))

    def _with(self, refusal: Refusal) -> Self:
        """With the entries of a log that counts more. All that is committed is in it, or in ours as well."""
        entries = refusal.entries
        last = entries[-1].stamp if entries else refusal.cut
        if last <= self.log.last or any(entry.body is None for entry in entries):
            return self
        log = self._begun(refusal.cut, refusal.books)
        if (entries[0].index if entries else last.index + 1) > log.committed + 1:
            return self
        return replace(self, log=log.store(entries).promise(last.term), part=FOLLOWING)

    def _begun(self, cut: Stamp, books: Books | None) -> Log:
        """The log with what others have cut off, where that is lacking. A witness needs no books."""
        log = self.log
        if self.witness:
            return log.begin(cut, None) if self.rules.lacks(log, cut) else log
        if books is None or not (log.books is None or self.rules.lacks(log, cut)):
            return log
        return log.begin(cut, books)

    def _count_votes(self) -> Next:
        assert isinstance(self.part, Calling)
        voters = {self.name, *(vote.voter for vote in self.part.votes)} & self.council
        if not self.rules.wins(voters, self.council):
            return self, ()
        leading = Leading(frozenset((vote.voter, vote.committed) for vote in self.part.votes))
        opened = replace(self, part=leading).propose(Opened(self.name), self.name)
        return opened, ()

    def _count_stored(self, leading: Leading) -> Self:
        log, council, rules = self.log, self.council, self.rules
        for entry in reversed(log.after(log.committed)):
            here = {
                self.name,
                *(holder for holder, index in leading.stored if index >= entry.index),
            } & council
            if rules.commits(entry.term, log.promised) and rules.stored_by_enough(here, council):
                log = log.commit(entry.index)
                break
        # Not while only its return is yet to be committed: it would step down in each term it wins.
        left = self.name not in council | log.council(log.committed).members
        return replace(self, log=log, part=FOLLOWING if left else leading)
