"""The queues: what the jobs of each claim, and how their nodes are shared out between them.

All in memory, and in one event loop: whose a node is is decided for all jobs of a queue at once, and each
job's own reconcile then makes and deletes its pods by it. What is lost with the process is told by the pods
again; until all jobs of a queue have been looked at, nobody in it gets a node that it has not.
"""

import time
from collections.abc import Callable, Iterable
from dataclasses import dataclass, field, replace

from edgetrain_operator.core.model import Observed
from edgetrain_operator.core.queues.claim import Claim
from edgetrain_operator.core.queues.claiming import claim_of
from edgetrain_operator.core.queues.grant import Grant, grant_for, with_news
from edgetrain_operator.core.queues.sharing import Sharing, as_held, share_out
from edgetrain_operator.runtime.memory import Key

UNSEEN_SECONDS = 60.0
"""A job that cannot be looked at for so long holds up no other."""

Name = tuple[str, str]
"""Of a queue: namespace, which is empty where all namespaces share it, and name."""


@dataclass
class _Queue:
    claims: dict[Key, Claim] = field(default_factory=dict)
    unseen: dict[Key, float] = field(default_factory=dict)
    """Jobs that have claimed nothing yet -> until when they are waited for; monotonic."""
    told: dict[Key, frozenset[str]] = field(default_factory=dict)
    """Nodes that each was told it has."""
    shared: Sharing = field(default_factory=lambda: Sharing({}))
    open: bool = False
    """Whether it was shared out, or everybody has kept what it had."""
    why: dict[str, str] = field(default_factory=dict)
    """Node -> why it was taken from who had it last."""

    @property
    def settled(self) -> bool:
        return all(until <= time.monotonic() for until in self.unseen.values())

    def share(self, now: float) -> Sharing:
        """Share out by the present claims. Returns how it was before."""
        before, self.open = self.shared, self.settled
        claims = self.claims.values()
        self.shared = share_out(claims, now) if self.open else as_held(claims)
        self.why.update(self.shared.why)
        self.claims = {key: self._after(claim) for key, claim in self.claims.items()}
        return before

    def _after(self, claim: Claim) -> Claim:
        """What it comes to. A node that was taken away may be about to get a pod: until its job has been
        looked at again, it counts as one with a pod."""
        held = self.shared.held[claim.job]
        return replace(claim, held=held, occupied=claim.occupied | (claim.held.keys() - held.keys()))


class Queues:
    def __init__(self, shared: Iterable[str], clock: Callable[[], float]) -> None:
        self._shared, self._clock = frozenset(shared), clock
        self._queues: dict[Name, _Queue] = {}
        self._of: dict[Key, Name] = {}
        self._wake: Callable[[Key], None] = lambda key: None

    def on_change(self, wake: Callable[[Key], None]) -> None:
        """Have this called with each job whose nodes have changed by another's doing."""
        self._wake = wake

    @property
    def waiting(self) -> int:
        """How many jobs have fewer nodes than their min."""
        return sum(len(queue.shared.within_reach) for queue in self._queues.values())

    def expect(self, key: Key, queue: str | None) -> None:
        """A job is there and may hold nodes: before it has been looked at, nobody of its queue gets any."""
        if queue is not None and key not in self._of:
            self._enter(key, queue).unseen[key] = time.monotonic() + UNSEEN_SECONDS

    def grant(self, seen: Observed) -> Grant | None:
        """What the job may have, now that this was observed of it; None where it is in no queue."""
        key, name = (seen.job.namespace, seen.job.name), seen.job.spec.scheduling.queue
        if name is None:
            return None
        queue = self._enter(key, name)
        claim = claim_of(seen, self._title(key), queue.claims.get(key))
        queue.told.setdefault(key, frozenset(claim.held))
        self._put(queue, key, claim)
        found = grant_for(queue.claims[key], queue.claims.values(), queue.shared, name, queue.open)
        return with_news(found, queue.told[key], queue.why)

    def told(self, key: Key, grant: Grant) -> None:
        """The job's Events have said so."""
        if key in self._of:
            self._queues[self._of[key]].told[key] = grant.nodes

    def release(self, key: Key) -> None:
        """The job is over: what it has is for others, once its pods have ended."""
        queue = self._queues[self._of[key]] if key in self._of else None
        if queue is not None and (claim := queue.claims.get(key)):
            self._put(queue, key, Claim(claim.job, most=0, occupied=claim.occupied))

    def drop(self, key: Key) -> None:
        """The job is gone, or none of ours."""
        name = self._of.pop(key, None)
        if name is None:
            return
        queue = self._queues[name]
        gone = queue.claims.pop(key, None)
        queue.unseen.pop(key, None)
        queue.told.pop(key, None)
        if queue.claims or queue.unseen:
            self._share(queue, key, gone.occupied if gone else frozenset())
        else:
            del self._queues[name]

    def _enter(self, key: Key, queue: str) -> _Queue:
        name = ("" if queue in self._shared else key[0], queue)
        if self._of.get(key, name) != name:
            self.drop(key)
        self._of[key] = name
        return self._queues.setdefault(name, _Queue())

    def _title(self, key: Key) -> str:
        """By which the other jobs of its queue are told of it."""
        return "/".join(key) if not self._of[key][0] else key[1]

    def _put(self, queue: _Queue, key: Key, claim: Claim) -> None:
        before, due = queue.claims.get(key), queue.shared.due
        queue.unseen.pop(key, None)
        queue.claims[key] = claim
        late = due is not None and due <= self._clock()
        if claim != before or late or queue.open != queue.settled:
            self._share(queue, key, before.occupied - claim.occupied if before else frozenset())

    def _share(self, queue: _Queue, key: Key, freed: frozenset[str] = frozenset()) -> None:
        """Share out, and wake whoever is concerned: not the job itself, which is being looked at.

        Args:
            freed: nodes on which its pods have ended.
        """
        before = queue.share(self._clock())
        for other, claim in queue.claims.items():
            held, had = queue.shared.held[claim.job], before.held.get(claim.job, {})
            if other != key and (held != had or held.keys() & freed):
                self._wake(other)
