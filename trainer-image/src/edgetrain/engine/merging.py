"""Steps that merge, taken by the members of a group at their loop's boundary, between two batches."""

from collections.abc import Callable
from typing import Any, Protocol

from edgetrain.data import BatchPartition
from edgetrain.engine.assignment import StepAssignment
from edgetrain.engine.attempts import Attempts
from edgetrain.engine.committing import Committing
from edgetrain.engine.entering import Entering
from edgetrain.engine.formation.active_formation import ActiveFormation
from edgetrain.engine.in_rounds import InRounds
from edgetrain.engine.monitor import Monitor, held
from edgetrain.engine.replica import ReplicaState
from edgetrain.engine.step_kind import StepKind
from edgetrain.engine.transfer.catch_up import CatchUp
from edgetrain.engine.transfer.replay_log import Entry

Decided = tuple[Entry, BatchPartition | None]


class Steps(Protocol):
    """Whose steps they are."""

    @property
    def monitor(self) -> Monitor: ...

    replica: ReplicaState
    catch_up: CatchUp
    entering: Entering
    committing: Committing
    rounds: InRounds


class Merging:
    """For the program's thread."""

    def __init__(
        self,
        steps: Steps,
        attempts: Attempts,
        decided: Callable[[], Decided | None],
        tried: Callable[[ActiveFormation, StepAssignment, float], Any],
    ) -> None:
        """
        Args:
            decided: with the monitor held, the step in doubt, where others have said what becomes of it.
            tried: takes a step in a formation, which may break.
        """
        self._steps, self._attempts, self._decided, self._tried = steps, attempts, decided, tried
        self._monitor = steps.monitor

    @held
    def decided(self) -> Callable[[], None] | None:
        """Where others have done such a step, or have said what becomes of the one in doubt: the same."""
        steps = self._steps
        position = steps.replica.position
        in_doubt = position.prepared is not None and self._attempts.kind is StepKind.MERGE
        if not in_doubt and steps.catch_up.next_kind(position.committed) is not StepKind.MERGE:
            return None
        found = self._decided()
        return (lambda: steps.committing.take(*found)) if found else None

    @held
    def due(self, epoch: int) -> Callable[[], None] | None:
        """One that is to be taken before the next batch, if there is one."""
        active, steps = self._steps.entering.entered, self._steps
        if active is None or steps.replica.drifted or not steps.rounds.due(active):
            return None
        return lambda: self._merge(active, epoch)

    def _merge(self, active: ActiveFormation, epoch: int) -> None:
        """Should the formation break, the next one begins at this boundary, and so does this step."""
        proposal = self._steps.rounds.proposal(active)
        self._tried(active, StepAssignment(epoch, (), kind=StepKind.MERGE, proposal=proposal), 0.0)
