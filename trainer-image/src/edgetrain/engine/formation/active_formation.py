"""A member's place in one formation, and the operations that it runs there."""

from collections.abc import Callable
from typing import Any, Generic, TypeVar, cast

from edgetrain.engine.formation.gloo import AddressStore, GroupBroken
from edgetrain.engine.formation.reducer import Reducer
from edgetrain.engine.monitor import Monitor
from edgetrain.link import Form, FormationId

Result = TypeVar("Result")


class Operation(Generic[Result]):
    """A job on the group, from its beginning until it is done or left behind."""

    def __init__(self, job: Callable[[Reducer], Result], give_up: Callable[[], None]) -> None:
        self.give_up = give_up
        """Frees the job where it waits for the program."""
        self._job = job
        self._result: Result | None = None
        self._error: BaseException | None = None
        self.done = False

    def run(self, reducer: Reducer) -> None:
        try:
            self._result = self._job(reducer)
        except GroupBroken as error:
            # Another one: this one's traceback would keep the group, and its descriptors, for long.
            self._error = GroupBroken(str(error), error.addresses)
        except BaseException as error:  # raised again where it is waited for
            self._error = error

    def outcome(self) -> Result:
        """What the job returned.

        Raises:
            GroupBroken: it is not done, and nobody waits for it any longer.
            What the job raised.
        """
        if self._error:
            raise self._error
        if not self.done:
            raise GroupBroken("the formation was left")
        return cast(Result, self._result)


class ActiveFormation:
    """Guarded by the engine's monitor."""

    def __init__(self, form: Form, store: AddressStore) -> None:
        self.form, self.store = form, store
        self.built = False
        self.entered = False
        self.holders: list[str] = []
        """Members' incarnations, by rank, once entered."""
        self.sum_seconds = 0.0
        """That the last step's sum took the slowest member: voted, so all know it alike. 0 before one."""
        self.left = False
        """For good: a formation is never returned to."""
        self.silent: frozenset[str] = frozenset()
        """Workers to whom nothing gets through on the group's own connections."""
        self.unheard: frozenset[str] = frozenset()
        """Workers whose echo did not come when it was tried."""
        self._next: Operation[Any] | None = None
        self._running: Operation[Any] | None = None

    @property
    def id(self) -> FormationId:
        return self.form.formation

    @property
    def leads(self) -> bool:
        """This member is the aggregator."""
        return self.form.rank == self.form.hub

    @property
    def open(self) -> bool:
        """Built, and neither entered nor left yet."""
        return self.built and not self.entered and not self.left

    def leave(self) -> None:
        """For good. What is under way comes to nothing; wake who waits by notifying the monitor."""
        self.left = True
        for operation in (self._next, self._running):
            if operation:
                operation.give_up()

    def begin(self, job: Callable[[Reducer], Result], give_up: Callable[[], None]) -> Operation[Result]:
        """Hand a job to the thread that serves; wake it by notifying the monitor."""
        operation = self._next = Operation(job, give_up)
        return operation

    def serve(self, reducer: Reducer, monitor: Monitor) -> None:
        """Run jobs until the formation is left. On the formation's own thread."""
        while True:
            with monitor:
                monitor.wait_for(lambda: self._next or self.left)
                operation, self._next = self._next, None
                self._running = operation
            if operation is None:
                return
            operation.run(reducer)
            with monitor:
                operation.done, self._running = True, None
                monitor.notify_all()
