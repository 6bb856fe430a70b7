"""What there may be to do at the loop's boundary, in its order. Each says so with the monitor held."""

from collections.abc import Callable

from edgetrain.engine.monitor import held
from edgetrain.engine.other_state import OtherState
from edgetrain.engine.place import Places
from edgetrain.engine.state.keeping import Keeping
from edgetrain.engine.stepping import StepEngine
from edgetrain.link import RESTART_STATUS

Job = Callable[[], None]
"""Done at the boundary by the program's thread, without the monitor: it may take long."""


class BoundaryJobs:
    """One more is one more line."""

    def __init__(
        self, stepping: StepEngine, places: Places, keeping: Keeping, other_state: OtherState
    ) -> None:
        self._stepping, self._places = stepping, places
        self._monitor = stepping.monitor
        self._keeping, self._other_state = keeping, other_state

    @held
    def first(self) -> Job | None:
        """What the supervisor wants done before anything else.

        Raises:
            SystemExit: there is nobody to go on for, or no way to go on.
        """
        return _first_of(self._end, self._stop, self._start, self._load)

    @held
    def before_a_step(self) -> Job | None:
        """What is to be done before the next step, where none can be taken yet."""
        return _first_of(self._settle_drift, self._stepping.merging.decided, self._enter, self._merge)

    @held
    def _end(self) -> None:
        """Raises SystemExit: there is nobody to go on for, or no way to go on."""
        if self._places.here.over:
            # The program's loop is over: it can take part in a last step, but not go back in time.
            if self._stepping.orders.start or self._stepping.catch_up.needs_snapshot:
                raise SystemExit(RESTART_STATUS)
        elif self._stepping.orders.closed:
            raise SystemExit(1)

    @held
    def _stop(self) -> Job | None:
        if self._places.here.over or not self._stepping.orders.stop:
            return None

        def stop() -> None:
            self._keeping.at_stop()
            raise SystemExit(0)

        return stop

    @held
    def _start(self) -> Job | None:
        start, self._stepping.orders.start = self._stepping.orders.start, None
        return (lambda: self._other_state.begin(start)) if start else None

    @held
    def _load(self) -> Job | None:
        snapshot = self._stepping.catch_up.take_snapshot()
        return (lambda: self._other_state.go_on_from(snapshot)) if snapshot else None

    @held
    def _settle_drift(self) -> Job | None:
        return self._stepping.entering.settle_drift if self._stepping.replica.drifted else None

    @held
    def _enter(self) -> Job | None:
        active = self._stepping.entering.to_enter()
        return (lambda: self._stepping.entering.enter(active)) if active else None

    @held
    def _merge(self) -> Job | None:
        here = self._places.here
        return None if here.over else self._stepping.merging.due(here.epoch)


def _first_of(*finds: Callable[[], Job | None]) -> Job | None:
    return next((job for find in finds if (job := find())), None)
