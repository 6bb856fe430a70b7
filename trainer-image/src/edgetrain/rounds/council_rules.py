"""When a term is won, and when an entry is committed.

Those of Ongaro and Ousterhout, "In search of an understandable consensus algorithm" (USENIX ATC 2014),
section 5, and for who is in the council of section 4.1 of Ongaro's dissertation (2014). What is added: a
witness, which votes and stores stamps without bodies, after Paris, "Voting with witnesses" (ICDCS 1986), and
a caller that lacks entries is given them with the refusal.
"""

from collections.abc import Collection

from edgetrain.rounds.entries import Council
from edgetrain.rounds.log import Log, Stamp
from edgetrain_protocol.quorum import majority


class CouncilRules:
    """The rules, one method each, so that a test can break one and see that the exploration notices."""

    def heeds(self, term: int, promised: int) -> bool:
        """Whether an entry of this term's lead is stored."""
        return term >= promised

    def votes(self, term: int, promised: int) -> bool:
        """Whether a call for this term is answered with a vote: once, and for none below."""
        return term > promised

    def may_lead(self, callers: Stamp, ours: Stamp) -> bool:
        """Whether a log that ends so has all that a voter has that may be committed."""
        return callers >= ours

    def wins(self, voters: Collection[str], council: Collection[str]) -> bool:
        """More than half, witness included: any two such sets have somebody in common."""
        return majority(len(voters), len(council))

    def stored_by_enough(self, here: Collection[str], council: Collection[str]) -> bool:
        """More than half again, so that whoever wins the next term has asked one of them."""
        return majority(len(here), len(council))

    def counts_stored(self, stored_in: int, term: int) -> bool:
        """Whether the lead of `term` counts what was stored then: it may have been overwritten since."""
        return stored_in == term

    def commits(self, entry: int, term: int) -> bool:
        """Whether the lead of `term` may count who has stored an entry of that term.

        Not one of a term before, though a majority may have it: a log that ends with a term between may still
        win. It is committed with the first of its own behind it.
        """
        return entry == term

    def may_forget(self, index: int, log: Log) -> bool:
        """Whether entries up to `index` may be cut off: what is committed stays as it is."""
        return index <= log.committed

    def ends(self, log: Log) -> Stamp:
        """What logs are compared by: the end of one that is all cut off is the cut."""
        return log.last

    def lacks(self, log: Log, cut: Stamp) -> bool:
        """Whether books as of `cut` take the place of what is here: never of what is committed."""
        return log.committed < cut.index

    # --- who is in the council

    def council(self, log: Log) -> Council:
        """Who is counted: by the newest entry that says so, committed or not. That of any two leads who
        count by neighbouring ones of these is the same or overlaps."""
        return log.council(log.last.index)

    def one_at_a_time(self, before: Council, after: Council) -> bool:
        """Whether majorities of both have somebody in common: one comes, or one leaves. To replace one is
        two changes."""
        return len(before.members ^ after.members) == 1 and bool(after.holders)

    def change_before_is_over(self, log: Log) -> bool:
        """Whether the last change is committed: two that are not are as one of two members."""
        return log.council(log.committed) == log.council(log.last.index)

    def own_term_is_committed(self, log: Log) -> bool:
        """Whether an entry of the lead's own term is. Else a change that another lead has begun, and that
        nobody of ours has heard of, may be committed beside this one (Ongaro, "bug in single-server
        membership changes", raft-dev, 2015)."""
        stamp = log.at(log.committed)
        return stamp is not None and stamp.term == log.promised

    def name_after_loss(self, name: str, fresh: str) -> str:
        """Who one is that has lost its disk: what it had promised and stored nobody knows, so it is never
        again who it was."""
        return fresh
