"""A member's place in one formation, and the operations that it runs there."""

import threading
from collections.abc import Callable
from typing import Any

from edgetrain.engine.gloo import AddressStore, GroupBroken
from edgetrain.engine.reduce import Reduction
from edgetrain.local import Form, FormationId


class Operation:
    """A job on the group, from its beginning until it is done or left behind."""

    def __init__(self, job: Callable[[Reduction], Any]) -> None:
        self._job = job
        self._result: Any = None
        self._error: BaseException | None = None
        self.done = False

    def run(self, reduction: Reduction) -> None:
        try:
            self._result = self._job(reduction)
        except BaseException as error:  # raised again where it is waited for
            self._error = error

    def outcome(self) -> Any:
        """What the job returned.

        Raises:
            GroupBroken: it is not done, and nobody waits for it any longer.
            What the job raised.
        """
        if self._error:
            raise self._error
        if not self.done:
            raise GroupBroken("the formation was left")
        return self._result


class Seat:
    """Guarded by the condition of `Formations`."""

    def __init__(self, form: Form, store: AddressStore) -> None:
        self.form, self.store = form, store
        self.built = False
        self.entered = False
        self.holders: list[str] = []
        """Members' incarnations, by rank, once entered."""
        self.left = False
        """For good: a formation is never returned to."""
        self.silent: frozenset[str] = frozenset()
        """Workers to whom nothing gets through on the group's own connections."""
        self.unheard: frozenset[str] = frozenset()
        """Workers whose echo did not come when it was tried."""
        self._next: Operation | None = None

    @property
    def id(self) -> FormationId:
        return self.form.formation

    @property
    def open(self) -> bool:
        """Built, and neither entered nor left yet."""
        return self.built and not self.entered and not self.left

    def begin(self, job: Callable[[Reduction], Any]) -> Operation:
        """Hand a job to the thread that serves; wake it by notifying the condition."""
        self._next = Operation(job)
        return self._next

    def serve(self, reduction: Reduction, changed: threading.Condition) -> None:
        """Run jobs until the seat is left. On the formation's own thread."""
        while True:
            with changed:
                changed.wait_for(lambda: self._next or self.left)
                operation, self._next = self._next, None
            if operation is None:
                return
            operation.run(reduction)
            with changed:
                operation.done = True
                changed.notify_all()
