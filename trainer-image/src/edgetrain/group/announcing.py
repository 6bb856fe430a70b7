"""What a supervisor tells the others of itself: what they decide by as it changes, and whom it meets."""

from collections.abc import Iterable

from edgetrain.group.effects import Announce
from edgetrain.group.hearing import Hearing
from edgetrain.group.members import Pod
from edgetrain.group.record import Record
from edgetrain.group.status import Stage, Status


class Announcing(Hearing):
    """Collects what is to be told."""

    def __init__(self, pod: Pod, record: Record | None, left: Iterable[Record] = ()) -> None:
        super().__init__(pod, record, left)
        self._announced: Status | None = None
        """As far as others decide by it."""

    def decisive(self) -> tuple[Status, Record | None]:
        """All that decisions look at, here and at the others."""
        return self.status.decisive, self.ballot.record if self.ballot else None

    def announce(self, still_seconds: float) -> None:
        """What has changed; and our votes, where nothing has for so long and we do not train."""
        self.status = self.own_status(self.statuses)
        if self.status.decisive != self._announced:
            self._announced = self.status.decisive
            self._effects.append(Announce(self.status))
        stands = self.status.stage not in (Stage.TRAINING, Stage.FORMING)
        if self.ballot and stands and self._shown.shows(self.ballot.record, still_seconds):
            self._effects.append(Announce(self.ballot.record))

    def greeting(self) -> list[Status | Record]:
        """The first words on a new connection: before any vote, so that a pod sees what it has forgotten.
        Also what was voted in groups that we have left: those whom we left may not have been there to be
        told, and wait for us until they are."""
        own = [self.ballot.record] if self.ballot else []
        left = self._set_aside.but(*(record.history.group for record in own))
        return [self.own_status(self.statuses), *left, *own]
