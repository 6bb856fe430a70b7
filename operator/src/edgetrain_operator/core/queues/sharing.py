"""Who has which node of a queue: first min for each job by priority, then even shares.

Each node is one job's at most. Who has its min is never taken below it, whatever the priority of who waits;
who cannot have its min takes nothing. Of the rest each job gets as many as the others, as far as nodes that
it can use go, within its max. What cannot be divided is with who gains more from it.
"""

import heapq
from collections import Counter
from collections.abc import Iterable, Iterator, Mapping
from dataclasses import dataclass, field
from itertools import islice

from edgetrain_operator.core.queues.claim import Claim

STAY_SECONDS = 300.0
"""A node that was granted stays for so long, unless another job lacks its min: a move costs two jobs a
re-forming, and one of them the transfer of its state."""
REAL_GAIN = 2.0
"""A node that cannot be divided moves to who gains so many times as much from one."""
LEAST_GAIN = 0.2
"""And by no less than this more, of a worker's part."""


@dataclass(frozen=True)
class Sharing:
    held: Mapping[str, Mapping[str, float]]
    """Job -> node -> since when."""
    why: Mapping[str, str] = field(default_factory=dict)
    """Node -> why it was taken from who had it."""
    within_reach: Mapping[str, int] = field(default_factory=dict)
    """Job below its min -> how many nodes it could have in all."""
    due: float | None = None
    """Unix time at which the same claims would be shared out in another way."""


def share_out(claims: Iterable[Claim], now: float) -> Sharing:
    """Share the nodes out. Again with what came of it, and the same claims otherwise, changes nothing."""
    found = _Shares(claims, now)
    found.one_holder_each()
    found.within_max()
    found.find_free()
    while found.changed:
        found.changed = False
        found.raise_to_min()
        found.hand_out_free()
        found.even_out()
    return Sharing(found.held, found.why, found.within_reach, found.due)


def as_held(claims: Iterable[Claim]) -> Sharing:
    """Everybody keeps what it has, and nobody gets anything."""
    return Sharing({claim.job: dict(claim.held) for claim in claims})


class _Shares:
    """The nodes on their way from hand to hand."""

    def __init__(self, claims: Iterable[Claim], now: float) -> None:
        self.order = sorted(claims, key=lambda c: (-c.priority, c.created, c.job))
        """Who comes first."""
        self.now = now
        self.held = {claim.job: dict(claim.held) for claim in self.order}
        self.why: dict[str, str] = {}
        self.within_reach: dict[str, int] = {}
        self.due: float | None = None
        self.changed = True
        self._rank = {claim.job: number for number, claim in enumerate(self.order)}
        self._free: dict[str, None] = {}
        """Nodes that nobody has, in order: those first that the fewest could use."""

    def one_holder_each(self) -> None:
        """Of several who take a node for theirs, as after a take-over, it is whose it became last."""
        last: dict[str, tuple[float, Claim]] = {}
        for claim in self.order:
            for node, since in self.held[claim.job].items():
                if node not in last or since > last[node][0]:
                    last[node] = (since, claim)
        for claim in self.order:
            for node in [n for n in self.held[claim.job] if last[n][1] is not claim]:
                del self.held[claim.job][node]
                self.why[node] = f"{last[node][1].job} has it since"

    def within_max(self) -> None:
        for claim in self.order:
            for node in self._returning(claim)[: max(self._count(claim) - claim.most, 0)]:
                del self.held[claim.job][node]
                self.why[node] = f"spec.nodes.max is {claim.most}"

    def find_free(self) -> None:
        everywhere: set[str] = set().union(*(claim.able for claim in self.order))
        free = everywhere.difference(*self.held.values())
        sought = Counter(node for claim in self.order for node in free & claim.able)
        self._free = dict.fromkeys(sorted(free, key=lambda node: (sought[node], node)))

    def raise_to_min(self) -> None:
        """All that is lacking, or nothing: who waits keeps no node from others."""
        self.within_reach = {}
        for claim in self.order:
            lacking = claim.least - self._count(claim)
            if lacking <= 0 or claim.most < claim.least:
                continue
            found = list(self._obtainable(claim, lacking))
            if len(found) < lacking:
                self.within_reach[claim.job] = self._count(claim) + len(found)
                continue
            why = f"{claim.job} needs it for its spec.nodes.min ({claim.least})"
            for node, donor in found:
                self._move(node, claim, donor, why)

    def hand_out_free(self) -> None:
        free = tuple(self._free)
        ways = {c.job: filter(c.able.__contains__, free) for c in self.order if self._may_have_more(c)}
        due = [(self._who_next(claim), claim) for claim in self.order if claim.job in ways]
        heapq.heapify(due)
        while due:
            _, claim = heapq.heappop(due)
            node = next((n for n in ways[claim.job] if n in self._free), None)
            if node is not None:
                self._move(node, claim)
                if self._may_have_more(claim):
                    heapq.heappush(due, (self._who_next(claim), claim))

    def even_out(self) -> None:
        while self._one_evened_out():
            pass

    def _one_evened_out(self) -> bool:
        self.due = None
        donors = sorted(filter(self._spare, self.order), key=self._who_gives)
        for receiver in sorted(filter(self._may_have_more, self.order), key=self._who_next):
            for donor in donors:
                if self._count(donor) <= self._count(receiver):
                    break
                why = self._why_even(donor, receiver)
                if why and self._give_one(donor, receiver, why):
                    return True
        return False

    def _why_even(self, donor: Claim, receiver: Claim) -> str:
        gives, gets = self._count(donor), self._count(receiver)
        if gives - gets >= 2:
            return f"{donor.job} has {gives} nodes, {receiver.job} {gets}"
        if donor.gain is None or receiver.gain is None:
            return ""
        enough = max(REAL_GAIN * donor.gain, donor.gain + LEAST_GAIN)
        adds = f"the last worker adds {donor.gain:.0%} of a worker's part to {donor.job}"
        return f"{adds}, {receiver.gain:.0%} to {receiver.job}" if receiver.gain >= enough else ""

    def _give_one(self, donor: Claim, receiver: Claim, why: str) -> bool:
        """Whether there is one that has stayed for long enough."""
        held = self.held[donor.job]
        usable = [node for node in self._returning(donor) if node in receiver.able]
        for node in usable:
            if held[node] + STAY_SECONDS <= self.now:
                self._move(node, receiver, donor, why)
                return True
        times = [held[node] + STAY_SECONDS for node in usable]
        self.due = min([*times, *([self.due] if self.due else [])], default=None)
        return False

    def _obtainable(self, claim: Claim, lacking: int) -> Iterator[tuple[str, Claim | None]]:
        """Up to so many nodes that this job can have for its min, and whose they are."""
        free = list(islice(filter(claim.able.__contains__, self._free), lacking))
        yield from ((node, None) for node in free)
        left = lacking - len(free)
        others = [c for c in self.order if left and c is not claim and self._spare_for(claim, c)]
        spare = {c.job: self._spare_for(claim, c) for c in others}
        usable = {c.job: [n for n in self._returning(c) if n in claim.able] for c in others}
        for _ in range(left):
            donors = [c for c in others if spare[c.job] > 0 and usable[c.job]]
            if not donors:
                return
            # Those with more than their min before those below it: the latter may come to theirs yet.
            donor = min(donors, key=lambda c: (not self._spare(c), -spare[c.job], *self._who_gives(c)))
            spare[donor.job] -= 1
            yield usable[donor.job].pop(0), donor

    def _spare_for(self, claim: Claim, other: Claim) -> int:
        """How many of its nodes the other can be without: all, where it is below its min, does not train for
        that, and comes later."""
        if (count := self._count(other)) >= other.least:
            return max(self._surplus(other), 0)
        return count if self._rank[other.job] > self._rank[claim.job] else 0

    def _move(self, node: str, to: Claim, donor: Claim | None = None, why: str = "") -> None:
        if donor is not None:
            del self.held[donor.job][node]
            self.why[node] = why
        self._free.pop(node, None)
        self.held[to.job][node] = self.now
        self.changed = True

    def _count(self, claim: Claim) -> int:
        return len(self.held[claim.job])

    def _may_have_more(self, claim: Claim) -> bool:
        return claim.least <= self._count(claim) < claim.most

    def _surplus(self, claim: Claim) -> int:
        """Nodes beyond its min, without those that are dark: with these alone it would not train."""
        return len(self.held[claim.job].keys() - claim.dark) - claim.least

    def _spare(self, claim: Claim) -> bool:
        return self._surplus(claim) > 0

    def _who_next(self, claim: Claim) -> tuple[int, float, int]:
        return self._count(claim), -_hoped(claim), self._rank[claim.job]

    def _who_gives(self, claim: Claim) -> tuple[int, float, int]:
        return -self._count(claim), _hoped(claim), -self._rank[claim.job]

    def _returning(self, claim: Claim) -> list[str]:
        """Its nodes in the order in which it gives them back."""
        held = self.held[claim.job]
        known = [node for node in claim.gives if node in held]
        return [*sorted(held.keys() - set(known), reverse=True), *known]


def _hoped(claim: Claim) -> float:
    """What is not known yet may be as much as can be."""
    return 1.0 if claim.gain is None else claim.gain
