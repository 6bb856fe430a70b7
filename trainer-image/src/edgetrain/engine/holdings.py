"""What a member of a job holds: how far its state has come, what all know alike, its formation."""

import secrets
import threading
from collections.abc import Callable

from edgetrain.credentials import Credentials
from edgetrain.engine.catchup import CatchUp
from edgetrain.engine.entry import holder_name
from edgetrain.engine.formations import Formations
from edgetrain.engine.ledger import Ledger
from edgetrain.engine.orders import Orders
from edgetrain.engine.replay import ReplayLog
from edgetrain.engine.seat import Seat
from edgetrain.local import Message, Position


class Holdings:
    """Guarded by `changed`, which is notified whenever something can go on."""

    def __init__(self, ledger: Ledger, send: Callable[[Message], None], credentials: Credentials) -> None:
        self.changed = threading.Condition()
        self.orders = Orders()
        self.formations = Formations(self.changed, send, lambda: self.position, credentials)
        self.catch_up = CatchUp(self.changed, send, credentials)
        self.log = ReplayLog()
        self.position = Position()
        self.ledger = ledger
        self.in_sync = False
        """Its parameters are known to be those of `position.committed` in this lineage."""
        self.incarnation = secrets.randbits(48)
        self.in_hand: tuple[int, ...] | None = None
        """The part of the step that the program has been given, until the step is committed."""

    @property
    def over(self) -> bool:
        """All epochs are trained, and no older state is still being replayed."""
        return self.in_sync and self.ledger.over

    @property
    def usable(self) -> Position | None:
        """Where a donor has to go on from; None if only a snapshot will do."""
        return self.position if self.in_sync else None

    @property
    def holder(self) -> str:
        return holder_name(self.incarnation)

    @property
    def seat_entered(self) -> Seat | None:
        seat = self.formations.seat
        return seat if seat and seat.entered and not seat.left else None

    @property
    def seat_alive(self) -> bool:
        return bool(self.formations.seat and not self.formations.seat.left)

    def keep_on(self, lineage: int) -> None:
        """The state at hand, whatever step is in hand, begins a new lineage."""
        self.formations.leave()
        self.catch_up.stop()
        self.position = Position(lineage, None, self.position.committed)
        self.log.clear()

    def take_over(self, position: Position, ledger: Ledger, *, in_sync: bool) -> None:
        """Foreign state was loaded: nothing of the old one may be counted or served any more."""
        self.position, self.ledger, self.in_sync = position, ledger, in_sync
        self.incarnation = secrets.randbits(48)
        self.in_hand = None
        self.log.clear()
