"""The formation that a trainer is in: built on a throw-away thread, left at any moment.

Three threads meet here. The link's thread brings orders (Form, Halt, addresses) and must never block.
The formation's own thread builds the group and then runs its operations; it may be blocked for good
and is left behind then. The program's thread waits for operations, but never longer than for the
formation. What is said to the supervisor about leaving is said when no operation can change the
position any more.
"""

import threading
from collections.abc import Callable
from typing import Any, TypeVar

from edgetrain.credentials import Credentials
from edgetrain.engine.formation.active_formation import ActiveFormation, Operation
from edgetrain.engine.formation.builder import Builder, after
from edgetrain.engine.formation.echo import unheard
from edgetrain.engine.formation.gloo import AddressStore, GroupBroken, ProcessGroup, shut_down
from edgetrain.engine.formation.reducer import Reducer
from edgetrain.engine.formation.traffic import Traffic
from edgetrain.engine.formation.watch import watch
from edgetrain.engine.monitor import Monitor, held
from edgetrain.link import (
    Broken,
    Form,
    FormationId,
    Halt,
    Halted,
    Message,
    Position,
    StoreSet,
    Stuck,
    TryLinks,
)
from edgetrain.link.codec import pack_bytes, unpack_bytes

Result = TypeVar("Result")
Settled = TypeVar("Settled")

GRACE_SECONDS = 0.05
"""After a peer has closed its connection, for what it sent before to arrive: it may have left in order."""


class Formations:
    """Builds, enters and leaves formations; the monitor is notified whenever something can go on."""

    def __init__(
        self,
        monitor: Monitor,
        send: Callable[[Message], None],
        position: Callable[[], Position],
        credentials: Credentials,
    ) -> None:
        self._monitor, self._send, self._position = monitor, send, position
        self._credentials = credentials
        self._builder = Builder(monitor, send, self._built)
        self._stores: dict[FormationId, AddressStore] = {}
        self._operation: Operation[Any] | None = None
        """The one for which the program's thread waits."""
        self._owed: Callable[[], Message] | None = None
        """A message that is sent once the program's thread has drawn the consequences of its operation."""
        self.traffic = Traffic()
        self.active: ActiveFormation | None = None
        """In the newest formation heard of; it may be unbuilt, or left."""

    @property
    def standing(self) -> tuple[int, int]:
        """Rank and size of the formation, the last one where there is none."""
        active = self.active
        return (active.form.rank, len(active.form.members)) if active else (0, 1)

    # By the link's thread.

    def form(self, form: Form) -> None:
        with self._monitor:
            if self.active and self.active.id[:2] >= form.formation[:2]:
                return
            self._leave()
            self.active = ActiveFormation(form, self._store(form.formation))
            self._stores = {key: s for key, s in self._stores.items() if key[:2] >= form.formation[:2]}
            self._builder.build(self.active)

    def store_set(self, message: StoreSet) -> None:
        """Addresses may come before the Form that they belong to."""
        with self._monitor:
            store = self._store(message.formation)
        store.put(message.key, unpack_bytes(message.value_b64))

    def try_links(self, message: TryLinks) -> None:
        with self._monitor:
            active = self.active
            if active and active.id == message.formation and not active.left:
                threading.Thread(target=self._try, args=(active,), name="echo", daemon=True).start()

    def halt(self, halt: Halt) -> None:
        """Leave the formation and say so."""
        with self._monitor:
            self._leave()
            self._say(lambda: Halted(halt.formation, self._position()))

    def leave(self) -> None:
        """Leave without a word."""
        with self._monitor:
            self._leave()

    # By the program's thread.

    def run(
        self,
        active: ActiveFormation,
        job: Callable[[Reducer], Result],
        settle: Callable[[Result], Settled],
        take: Callable[[Result], None] = lambda result: None,
    ) -> Settled:
        """Run `job` on the formation's thread, then `take` and `settle` with its result on this one.

        Returns what `settle` returned.

        Orders wait until `settle`, with the monitor held, has drawn the consequences; what takes long is done
        by `take` before, without. `job` must not change anything that is used again after a failure: it may
        be left behind blocked, and run on at any time.

        Raises:
            GroupBroken: the group failed or was left. The supervisor has been told.
        """
        return self.conclude(active, self.begin(active, job), settle, take)

    def begin(
        self,
        active: ActiveFormation,
        job: Callable[[Reducer], Result],
        give_up: Callable[[], None] = lambda: None,
    ) -> Operation[Result]:
        """Let `job` run on the formation's thread; nobody waits for it before `conclude`.

        Until then it must commit to nothing that leaving tells of. `give_up` frees it where it waits for us.

        Raises:
            GroupBroken: the formation was left.
        """
        with self._monitor:
            self._check_in(active)
            operation = active.begin(job, give_up)
            self._monitor.notify_all()
            return operation

    def conclude(
        self,
        active: ActiveFormation,
        operation: Operation[Result],
        settle: Callable[[Result], Settled],
        take: Callable[[Result], None] = lambda result: None,
        release: Callable[[], None] = lambda: None,
    ) -> Settled:
        """As `run`, of a job that was begun. `release` lets it go on to its end."""
        try:
            with self._monitor:
                self._check_in(active)
                self._operation = operation
                release()
                self._monitor.wait_for(lambda: operation.done or active.left)
            if operation.done:
                take(operation.outcome())
            with self._monitor:
                settled = settle(operation.outcome())
                self._unheard(active, frozenset())
                return settled
        except GroupBroken as error:
            with self._monitor:
                self._break(active, str(error), error.addresses)
            raise
        finally:
            with self._monitor:
                self._operation = None
                self._pay()

    def abandon(self, active: ActiveFormation, why: str) -> None:
        """The program has failed in the middle of a step that had begun."""
        with self._monitor:
            self._break(active, why, frozenset())

    def stop_cleanly(self, active: ActiveFormation) -> None:
        """All members have voted to stop here. The connections stay until the next formation.

        Others may still be reading the end of the vote from them.
        """
        with self._monitor:
            if not active.left:
                active.leave()
                self._say(lambda: Halted(active.id, self._position()))
                self._monitor.notify_all()

    # With the monitor held.

    @held
    def _check_in(self, active: ActiveFormation) -> None:
        if active is not self.active or active.left:
            raise GroupBroken("the formation was left")

    @held
    def _say(self, message: Callable[[], Message]) -> None:
        """Now, or when the program's thread has turned from what it waits for."""
        self._owed = message
        if self._operation is None:
            self._pay()

    @held
    def _pay(self) -> None:
        owed, self._owed = self._owed, None
        if owed:
            self._send(owed())

    @held
    def _leave(self) -> None:
        if self.active:
            self.active.leave()
            shut_down(self.active.store, self.active.form.rank)
        self._monitor.notify_all()

    @held
    def _break(self, active: ActiveFormation, error: str, addresses: frozenset[str]) -> None:
        """Leave a group that does not work any more, and say whom that may be due to."""
        if active.left:
            return
        self._leave()
        suspects = _workers(active, addresses)
        named = suspects if len(suspects) == 1 else []
        self._say(lambda: Broken(active.id, self._position(), error, named))

    @held
    def _store(self, formation: FormationId) -> AddressStore:
        if formation not in self._stores:

            def publish(key: str, value: bytes) -> None:
                self._send(StoreSet(formation, key, pack_bytes(value)))

            self._stores[formation] = AddressStore(publish)
        return self._stores[formation]

    @held
    def _unheard(self, active: ActiveFormation, workers: frozenset[str]) -> None:
        if workers != active.unheard:
            active.unheard = workers
            self._tell_stuck(active)

    @held
    def _tell_stuck(self, active: ActiveFormation) -> None:
        if not active.left:
            self._send(Stuck(active.id, sorted(active.silent | active.unheard)))

    # By a thread of its own.

    def _try(self, active: ActiveFormation) -> None:
        others = [peer for rank, peer in enumerate(active.form.members) if rank != active.form.rank]
        workers = frozenset(unheard(others, self._credentials))
        with self._monitor:
            self._unheard(active, workers)

    # By the formation's thread.

    def _built(self, active: ActiveFormation, group: ProcessGroup) -> None:
        connections = group.connections()
        self.traffic.follow(connections, active.form)
        watch(connections, lambda peer: self._closed(active, peer), lambda to: self._stuck(active, to))

    # By the thread that watches the connections, and by a timer's.

    def _stuck(self, active: ActiveFormation, addresses: frozenset[str]) -> None:
        with self._monitor:
            active.silent = frozenset(_workers(active, addresses))
            self._tell_stuck(active)

    def _closed(self, active: ActiveFormation, peer: str) -> None:
        if not active.left:
            after(GRACE_SECONDS, self._lost, active, peer)

    def _lost(self, active: ActiveFormation, peer: str) -> None:
        with self._monitor:
            self._break(active, f"{peer} has closed its connection", frozenset({peer}))


def _workers(active: ActiveFormation, addresses: frozenset[str]) -> list[str]:
    return [peer.worker for peer in active.form.members if peer.address in addresses]
