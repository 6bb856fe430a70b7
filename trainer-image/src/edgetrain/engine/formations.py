"""The formation that a trainer is in: built on a throw-away thread, left at any moment.

Three threads meet here. The link's thread brings orders (Form, Halt, addresses) and must never block.
The formation's own thread builds the group and then runs its operations; it may be blocked for good
and is left behind then. The program's thread waits for operations, but never longer than for the
formation. What is said to the supervisor about leaving is said when no operation can change the
position any more.
"""

import logging
import threading
from collections.abc import Callable
from typing import TypeVar

from edgetrain.credentials import Credentials
from edgetrain.engine.echo import unheard
from edgetrain.engine.gloo import AddressStore, Group, GroupBroken, admit, connected, shut_down
from edgetrain.engine.packet_filter import EVERYBODY
from edgetrain.engine.reduce import Reduction
from edgetrain.engine.seat import Operation, Seat
from edgetrain.engine.traffic import Traffic
from edgetrain.engine.watch import watch
from edgetrain.local import (
    Broken,
    BuildFailed,
    Built,
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
from edgetrain.local.codec import pack_bytes, unpack_bytes

log = logging.getLogger(__name__)

Result = TypeVar("Result")

GRACE_SECONDS = 0.05
"""After a peer has closed its connection, for what it sent before to arrive: it may have left in order."""
ADMIT_SECONDS = 2.5
"""Once all have told where they listen, connections take a round trip each. Whose first packets were dropped,
as it comes from an address that nobody knew of, sends the third or fourth one after this."""

UNBUILT = (
    "formation %d is not built after %g s: until it is, strangers may connect to its listener too, in case a "
    "member's packets come from an address that is neither its own nor that of its supervisor's connection; "
    "if this comes again and again, let no NAT with several addresses stand between the workers"
)


class Formations:
    """Builds, enters and leaves formations; `changed` is notified whenever something can go on."""

    def __init__(
        self,
        changed: threading.Condition,
        send: Callable[[Message], None],
        position: Callable[[], Position],
        credentials: Credentials,
    ) -> None:
        self._changed, self._send, self._position = changed, send, position
        self._credentials = credentials
        self._stores: dict[FormationId, AddressStore] = {}
        self._operation: Operation | None = None
        """That the program's thread waits for."""
        self._owed: Callable[[], Message] | None = None
        """What is to be said as soon as the program's thread has turned from its operation."""
        self.traffic = Traffic()
        self.seat: Seat | None = None
        """In the newest formation heard of; it may be unbuilt, or left."""

    # By the link's thread.

    def form(self, form: Form) -> None:
        with self._changed:
            if self.seat and self.seat.id[:2] >= form.formation[:2]:
                return
            self._leave()
            self.seat = Seat(form, self._store(form.formation))
            self._stores = {key: s for key, s in self._stores.items() if key[:2] >= form.formation[:2]}
            threading.Thread(target=self._live, args=(self.seat,), name="formation", daemon=True).start()
            self._after(form.build_seconds, self._give_up, self.seat)
            self._after(ADMIT_SECONDS, self._admit, self.seat)

    def store_set(self, message: StoreSet) -> None:
        """Addresses may come before the Form that they belong to."""
        with self._changed:
            store = self._store(message.formation)
        store.put(message.key, unpack_bytes(message.value_b64))

    def try_links(self, message: TryLinks) -> None:
        with self._changed:
            seat = self.seat
            if seat and seat.id == message.formation and not seat.left:
                threading.Thread(target=self._try, args=(seat,), name="echo", daemon=True).start()

    def halt(self, halt: Halt) -> None:
        """Leave the formation and say so."""
        with self._changed:
            self._leave()
            self._say(lambda: Halted(halt.formation, self._position()))

    def leave(self) -> None:
        """Leave without a word."""
        with self._changed:
            self._leave()

    # By the program's thread.

    def run(self, seat: Seat, job: Callable[[Reduction], Result], settle: Callable[[Result], None]) -> None:
        """Run `job` on the formation's thread, then `settle` with its result on this one.

        Orders wait until `settle` has drawn the consequences. `job` must not change anything that is
        used again after a failure: it may be left behind blocked, and run on at any time.

        Raises:
            GroupBroken: the group failed or was left. The supervisor has been told.
        """
        with self._changed:
            if seat is not self.seat or seat.left:
                raise GroupBroken("the formation was left")
            operation = self._operation = seat.begin(job)
            self._changed.notify_all()
            self._changed.wait_for(lambda: operation.done or seat.left)
            try:
                settle(operation.outcome())
                self._unheard(seat, frozenset())
            except GroupBroken as error:
                self._break(seat, str(error), error.addresses)
                raise
            finally:
                self._operation = None
                self._pay()

    def stop_cleanly(self, seat: Seat) -> None:
        """All members have voted to stop here. The connections stay until the next formation.

        Others may still be reading the end of the vote from them.
        """
        with self._changed:
            if not seat.left:
                seat.left = True
                self._say(lambda: Halted(seat.id, self._position()))
                self._changed.notify_all()

    # With `changed` held.

    def _say(self, message: Callable[[], Message]) -> None:
        """Now, or when the program's thread has turned from what it waits for."""
        self._owed = message
        if self._operation is None:
            self._pay()

    def _pay(self) -> None:
        owed, self._owed = self._owed, None
        if owed:
            self._send(owed())

    def _leave(self) -> None:
        if self.seat:
            self.seat.left = True
            shut_down(self.seat.store, self.seat.form.rank)
        self._changed.notify_all()

    def _break(self, seat: Seat, error: str, addresses: frozenset[str]) -> None:
        """Leave a group that does not work any more, and say whom that may be due to."""
        if seat.left:
            return
        self._leave()
        suspects = _workers(seat, addresses)
        named = suspects if len(suspects) == 1 else []
        self._say(lambda: Broken(seat.id, self._position(), error, named))

    def _store(self, formation: FormationId) -> AddressStore:
        if formation not in self._stores:

            def publish(key: str, value: bytes) -> None:
                self._send(StoreSet(formation, key, pack_bytes(value)))

            self._stores[formation] = AddressStore(publish)
        return self._stores[formation]

    @staticmethod
    def _after(seconds: float, job: Callable[..., None], *arguments: object) -> None:
        timer = threading.Timer(seconds, job, arguments)
        timer.daemon = True
        timer.start()

    def _unheard(self, seat: Seat, workers: frozenset[str]) -> None:
        if workers != seat.unheard:
            seat.unheard = workers
            self._tell_stuck(seat)

    def _tell_stuck(self, seat: Seat) -> None:
        if not seat.left:
            self._send(Stuck(seat.id, sorted(seat.silent | seat.unheard)))

    # By a thread of its own.

    def _try(self, seat: Seat) -> None:
        others = [peer for rank, peer in enumerate(seat.form.members) if rank != seat.form.rank]
        workers = frozenset(unheard(others, self._credentials))
        with self._changed:
            self._unheard(seat, workers)

    # By the formation's thread: a constructor that is blocked on a dead peer cannot be freed.

    def _live(self, seat: Seat) -> None:
        form = seat.form
        address = form.members[form.rank].address
        try:
            size, come_from = len(form.members), _addresses(form)
            group = Group(seat.store, form.rank, size, address, form.build_seconds, come_from)
        except GroupBroken as error:
            self._failed(seat, str(error))
            return
        if self._built(seat, group):
            connections = group.connections()
            self.traffic.follow(connections, form)
            watch(connections, lambda peer: self._closed(seat, peer), lambda to: self._stuck(seat, to))
            hub = [peer.worker for peer in form.members].index(form.aggregator)
            seat.serve(Reduction(group, form.reduction, hub), self._changed)

    def _built(self, seat: Seat, group: Group) -> bool:
        with self._changed:
            if seat.left:
                group.shutdown()
                return False
            seat.built = True
            group.stop_listening()
            self._send(Built(seat.id))
            self._changed.notify_all()
            return True

    def _admit(self, seat: Seat) -> None:
        """Let everybody connect until the group is built, where all have told where they listen and do not
        come together: no stranger can bring that about."""
        with self._changed:
            if seat.left or seat.built:
                return
            if len(seat.store.listeners()) < len(seat.form.members):
                self._after(ADMIT_SECONDS, self._admit, seat)
                return
            admit(seat.store, seat.form.rank, EVERYBODY)
        log.warning(UNBUILT, seat.id.number, ADMIT_SECONDS)

    def _give_up(self, seat: Seat) -> None:
        self._failed(seat, f"not built within {seat.form.build_seconds:g} s")

    def _failed(self, seat: Seat, error: str) -> None:
        with self._changed:
            if seat.left or seat.built:
                return
            seat.left = True
            missing = _unreachable(seat)
            shut_down(seat.store, seat.form.rank)
            self._send(BuildFailed(seat.id, missing, error))
            self._changed.notify_all()

    # By the thread that watches the connections, and by a timer's.

    def _stuck(self, seat: Seat, addresses: frozenset[str]) -> None:
        with self._changed:
            seat.silent = frozenset(_workers(seat, addresses))
            self._tell_stuck(seat)

    def _closed(self, seat: Seat, peer: str) -> None:
        if not seat.left:
            self._after(GRACE_SECONDS, self._lost, seat, peer)

    def _lost(self, seat: Seat, peer: str) -> None:
        with self._changed:
            self._break(seat, f"{peer} has closed its connection", frozenset({peer}))


def _addresses(form: Form) -> set[str]:
    """From which its members connect, as far as that is known."""
    return {address for peer in form.members for address in (peer.address, peer.comes_from)}


def _workers(seat: Seat, addresses: frozenset[str]) -> list[str]:
    return [peer.worker for peer in seat.form.members if peer.address in addresses]


def _unreachable(seat: Seat) -> list[str]:
    """Who has not published an address; if all have, to whom there is no connection."""
    published = seat.store.listeners()
    others = [(rank, peer) for rank, peer in enumerate(seat.form.members) if rank != seat.form.rank]
    if silent := [peer.worker for rank, peer in others if rank not in published]:
        return silent
    reached = connected(seat.store, seat.form.rank)
    return [peer.worker for _, peer in others if peer.address not in reached]
