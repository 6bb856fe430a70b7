"""The formation that a trainer is in: built on a throw-away thread, left at any moment.

Two threads meet here. The link's thread brings orders (Form, Halt, addresses) and must never block;
the program's thread runs the group's operations and may be blocked in one when an order comes. What
is said to the supervisor about leaving is said when no operation can change the position any more.
"""

import contextlib
import threading
from collections.abc import Callable, Iterator

from edgetrain.engine.gloo import AddressStore, Group, GroupBroken, connected, shut_down
from edgetrain.engine.reduce import Reduction
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
)
from edgetrain.local.codec import pack_bytes, unpack_bytes


class Seat:
    """This member's place in one formation. Guarded by the condition of `Formations`."""

    def __init__(self, form: Form, store: AddressStore) -> None:
        self.form, self.store = form, store
        self.reduction: Reduction | None = None
        """Once the group is built."""
        self.entered = False
        self.holders: list[str] = []
        """Members' incarnations, by rank, once entered."""
        self.left = False
        """For good: a formation is never returned to."""

    @property
    def id(self) -> FormationId:
        return self.form.formation


class Formations:
    """Builds, enters and leaves formations; `changed` is notified whenever something can go on."""

    def __init__(
        self, changed: threading.Condition, send: Callable[[Message], None], position: Callable[[], Position]
    ) -> None:
        self._changed, self._send, self._position = changed, send, position
        self._stores: dict[FormationId, AddressStore] = {}
        self._busy = False
        self._halt_asked: FormationId | None = None
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
            threading.Thread(target=self._build, args=(self.seat,), name="build", daemon=True).start()
            deadline = threading.Timer(form.build_seconds, self._give_up, args=(self.seat,))
            deadline.daemon = True
            deadline.start()

    def store_set(self, message: StoreSet) -> None:
        """Addresses may come before the Form that they belong to."""
        with self._changed:
            store = self._store(message.formation)
        store.put(message.key, unpack_bytes(message.value_b64))

    def halt(self, halt: Halt) -> None:
        """Leave the formation and say so, at once or when the operation that this frees has ended."""
        with self._changed:
            self._leave()
            if self._busy:
                self._halt_asked = halt.formation
            else:
                self._send(Halted(halt.formation, self._position()))

    def leave(self) -> None:
        """Leave without a word."""
        with self._changed:
            self._leave()

    # By the program's thread.

    @contextlib.contextmanager
    def operation(self, seat: Seat) -> Iterator[Reduction]:
        """Run operations of the seat's group. Steps are prepared and committed inside.

        Raises:
            GroupBroken: the group failed or was left; the supervisor has been told.
        """
        with self._changed:
            if seat is not self.seat or seat.left or seat.reduction is None:
                raise GroupBroken("the formation was left")
            self._busy = True
        broken: GroupBroken | None = None
        try:
            yield seat.reduction
        except GroupBroken as error:
            broken = error
            raise
        finally:
            self._ended(seat, broken)

    def stop_cleanly(self, seat: Seat) -> None:
        """All members have voted to stop here. The connections stay until the next formation.

        Others may still be reading the end of the vote from them.
        """
        with self._changed:
            if not seat.left:
                seat.left = True
                self._send(Halted(seat.id, self._position()))

    def _ended(self, seat: Seat, broken: GroupBroken | None) -> None:
        with self._changed:
            self._busy = False
            asked, self._halt_asked = self._halt_asked, None
            was_left, seat.left = seat.left, seat.left or broken is not None
            if broken:
                # At once: peers that wait for us learn of it by their closed connections.
                shut_down(seat.store, seat.form.rank)
            if asked:
                self._send(Halted(asked, self._position()))
            elif broken and not was_left:
                suspects = [p.worker for p in seat.form.members if p.address in broken.addresses]
                alone = suspects if len(suspects) == 1 else []
                self._send(Broken(seat.id, self._position(), str(broken), alone))
            self._changed.notify_all()

    def _leave(self) -> None:
        if self.seat and not self.seat.left:
            self.seat.left = True
        if self.seat:
            shut_down(self.seat.store, self.seat.form.rank)
        self._changed.notify_all()

    def _store(self, formation: FormationId) -> AddressStore:
        if formation not in self._stores:
            def publish(key: str, value: bytes) -> None:
                self._send(StoreSet(formation, key, pack_bytes(value)))

            self._stores[formation] = AddressStore(publish)
        return self._stores[formation]

    # By throw-away threads: a constructor that is blocked on a dead peer cannot be freed.

    def _build(self, seat: Seat) -> None:
        form = seat.form
        address = form.members[form.rank].address
        try:
            group = Group(seat.store, form.rank, len(form.members), address, form.build_seconds)
        except GroupBroken as error:
            self._failed(seat, str(error))
            return
        hub = [peer.worker for peer in form.members].index(form.aggregator)
        with self._changed:
            if seat.left:
                shut_down(seat.store, form.rank)
                return
            seat.reduction = Reduction(group, form.reduction, hub)
            self._send(Built(form.formation))
            self._changed.notify_all()

    def _give_up(self, seat: Seat) -> None:
        self._failed(seat, f"not built within {seat.form.build_seconds:g} s")

    def _failed(self, seat: Seat, error: str) -> None:
        with self._changed:
            if seat.left or seat.reduction is not None:
                return
            seat.left = True
            missing = _unreachable(seat)
            shut_down(seat.store, seat.form.rank)
            self._send(BuildFailed(seat.id, missing, error))
            self._changed.notify_all()


def _unreachable(seat: Seat) -> list[str]:
    """Who has not published an address; if all have, to whom there is no connection."""
    published = seat.store.listeners()
    others = [(rank, peer) for rank, peer in enumerate(seat.form.members) if rank != seat.form.rank]
    if silent := [peer.worker for rank, peer in others if rank not in published]:
        return silent
    reached = connected(seat.store, seat.form.rank)
    return [peer.worker for _, peer in others if peer.address not in reached]
