"""A step on the formation's thread: its gradients are summed as they come, then it is voted."""

import queue
import time
from collections.abc import Callable

from msgspec.structs import replace

from edgetrain.engine.formation.commit_vote import CommitVote, VoteOutcome, expect_votes, vote
from edgetrain.engine.formation.gloo import GroupBroken
from edgetrain.engine.formation.reducer import Ready, Reducer

Sum = Callable[[Reducer, Ready], None]
"""Sums all parts of a vector through a reducer; asks for each part before it is sent."""

GIVEN_UP = "the step was given up"


class StepJob:
    """Begun before backward, told from the program's thread what may go out, and ended by its vote."""

    def __init__(
        self,
        sum_parts: Sum,
        prepared: Callable[[bool], None],
        again: Callable[[], None],
        *,
        sums_rows: bool = False,
    ) -> None:
        """The callables are called by the formation's thread.

        Args:
            prepared: is told when the sum is whole, and where that is to be taken back.
            again: packs all parts anew; backward is over then.
            sums_rows: what is summed goes as votes do: room for these can be made only after it.
        """
        self._sums_rows = sums_rows
        self._sum, self._prepared, self._again = sum_parts, prepared, again
        self._inbox: queue.SimpleQueue[int | CommitVote | None] = queue.SimpleQueue()
        self._ready: set[int] = set()
        self._begun = 0.0
        """When the first part could go out."""

    # By the program's thread; giving up by any.

    def ready(self, part: int) -> None:
        """The part at this place is packed."""
        self._inbox.put(part)

    def finish(self, own: CommitVote) -> None:
        """All parts are packed; this is what to vote."""
        self._inbox.put(own)

    def give_up(self) -> None:
        """No more comes: whoever waits for it is freed."""
        self._inbox.put(None)

    # By the formation's thread.

    def __call__(self, reducer: Reducer) -> VoteOutcome:
        """Raises GroupBroken."""
        early = None if self._sums_rows else expect_votes(reducer)
        self._sum(reducer, self._await)
        votes = early or expect_votes(reducer)
        took = time.monotonic() - self._begun if self._begun else 0.0
        own = replace(self._vote(), sum_seconds=took)
        self._prepared(True)
        while (outcome := vote(votes, own)).again:
            self._prepared(False)
            votes = expect_votes(reducer)
            self._again()
            self._sum(reducer, lambda part: None)
            self._prepared(True)
            own = replace(own, again=False)
        return outcome

    def _await(self, part: int) -> None:
        while part not in self._ready:
            match self._inbox.get():
                case int(number):
                    self._begun = self._begun or time.monotonic()
                    self._ready.add(number)
                case _:
                    raise GroupBroken(GIVEN_UP)

    def _vote(self) -> CommitVote:
        match self._inbox.get():
            case CommitVote() as own:
                return own
            case _:
                raise GroupBroken(GIVEN_UP)
