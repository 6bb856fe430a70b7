"""Numbers that all members combine, wherever in its loops the program calls for them."""

from collections.abc import Callable, Sequence

from edgetrain.engine.assignment import Rewound, StepAssignment, Superseded
from edgetrain.engine.place import Places
from edgetrain.engine.resting import Resting
from edgetrain.engine.step_kind import StepKind
from edgetrain.engine.stepping import StepEngine


class Calls:
    """For the program's thread."""

    def __init__(
        self,
        stepping: StepEngine,
        places: Places,
        resting: Resting,
        stand: Callable[[Callable[[], bool]], None],
    ) -> None:
        """`stand`: stays at a boundary, where others may take the state, until something holds."""
        self._stepping, self._places, self._resting, self._stand = stepping, places, resting, stand

    def combine(self, numbers: Sequence[float]) -> list[list[float]] | None:
        """Every member's row; None where this member has been left behind, or comes by here once more."""
        turn = StepAssignment(self._places.here.epoch, (), kind=StepKind.NUMBERS, numbers=tuple(numbers))
        if not self._places.here.inside:
            # The first thing that a program comes to where its state belongs; within an epoch a boundary is.
            self._resting.put_back()
        while self._given_up(turn):
            self._stand(self._can_go_on)
        found = self._stepping.committing.numbers
        return None if found is None else found[:, : len(numbers)].tolist()

    def _can_go_on(self) -> bool:
        return self._places.elsewhere or self._stepping.entering.entered is not None

    def _given_up(self, turn: StepAssignment) -> bool:
        """Whether the call is to come again, once others have taken the state from here. At an epoch's head
        alone: elsewhere the program comes by a boundary by itself, before it comes to such a call again."""
        try:
            self._stepping.reduce_step(turn, 0.0, 0)
        except Superseded:
            return False
        except Rewound:
            if self._places.here.inside:
                self._resting.remember()
                return False
            with self._stepping.monitor:
                self._stepping.orders.rewind = False
            return not self._places.elsewhere
        return False
