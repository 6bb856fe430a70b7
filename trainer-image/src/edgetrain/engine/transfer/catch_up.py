"""How a member that is behind comes up to the others: whom it follows, and when it has caught up."""

from collections.abc import Callable

from edgetrain.credentials import Credentials
from edgetrain.engine.monitor import Monitor
from edgetrain.engine.state.snapshot import Snapshot
from edgetrain.engine.step_kind import StepKind
from edgetrain.engine.transfer.follower import Follower
from edgetrain.engine.transfer.replay_log import Entry
from edgetrain.link import CaughtUp, FetchFailed, Form, Message, Peer, Position


class CatchUp:
    """At most one donor is followed at a time. To be used with the member's condition held."""

    def __init__(self, monitor: Monitor, send: Callable[[Message], None], credentials: Credentials) -> None:
        self._monitor, self._send, self._credentials = monitor, send, credentials
        self._follower: Follower | None = None
        self._told: type[Message] | None = None
        """What was said last of the donor that is followed now."""

    def follow(self, donor: Peer, have: Position | None) -> None:
        """Follow this donor from now on; `have` is where the state at hand stands, None if it is no use.

        Who follows it already goes on as it is: a slow device is asked in again before it has caught up,
        and would begin from the start for ever.
        """
        self._told = None
        if self._follower and self._follower.donor == donor:
            return
        self.stop()
        self._follower = Follower(donor, self._credentials, have=have, wake=self._monitor)

    def follow_member(self, form: Form, have: Position | None) -> None:
        """Behind the formation that is to be entered: follow one of its current members, if nobody yet."""
        me = form.members[form.rank].worker
        donor = next((p for p in form.members if p.worker in form.current and p.worker != me), None)
        if donor and not self._follower:
            self.follow(donor, have)

    def stop(self) -> None:
        if self._follower:
            self._follower.close()
            self._follower = None

    @property
    def needs_snapshot(self) -> bool:
        """The state at hand is of no use: it is to be replaced at the next boundary."""
        return bool(self._follower and self._follower.needs_snapshot)

    def take_snapshot(self) -> Snapshot | None:
        return self._follower.take_snapshot() if self._follower else None

    def take_step(self, committed: int) -> Entry | None:
        """The step after `committed`, if it has come."""
        return self._follower.take_step(committed) if self._follower else None

    def next_kind(self, committed: int) -> StepKind | None:
        """Of the step that `take_step` would give."""
        return self._follower.next_kind(committed) if self._follower else None

    def tell(self, position: Position) -> None:
        """Say, once, that the donor's front has been reached, or that nothing comes from it."""
        if not self._follower:
            return
        if self._follower.error:
            self._say(FetchFailed(self._follower.donor.worker, self._follower.error))
        elif self._follower.caught_up(position.committed):
            self._say(CaughtUp(position))

    def _say(self, message: Message) -> None:
        if self._told is not type(message):
            self._told = type(message)
            self._send(message)
