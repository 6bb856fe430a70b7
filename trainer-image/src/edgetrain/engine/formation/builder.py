"""Builds a formation's process group, on a throw-away thread: a constructor that is blocked on a dead peer
cannot be freed. The same thread runs the formation's operations then, until it is left.
"""

import logging
import threading
from collections.abc import Callable

from edgetrain.engine.formation.active_formation import ActiveFormation
from edgetrain.engine.formation.gloo import GroupBroken, ProcessGroup, admit, connected, shut_down
from edgetrain.engine.formation.packet_filter import EVERYBODY
from edgetrain.engine.formation.reducers import reducer_of
from edgetrain.engine.monitor import Monitor
from edgetrain.link import BuildFailed, Built, Form, Message

log = logging.getLogger(__name__)

ADMIT_SECONDS = 2.5
"""Once all have told where they listen, connections take a round trip each. Whose first packets were dropped,
as it comes from an address that nobody knew of, sends the third or fourth one after this."""

UNBUILT = (
    "formation %d is not built after %g s: until it is, strangers may connect to its listener too, in case a "
    "member's packets come from an address that is neither its own nor that of its supervisor's connection; "
    "if this comes again and again, let no NAT with several addresses stand between the workers"
)


class Builder:
    """Methods are the formation's thread's or a timer's unless they say otherwise."""

    def __init__(
        self,
        monitor: Monitor,
        send: Callable[[Message], None],
        on_built: Callable[[ActiveFormation, ProcessGroup], None],
    ) -> None:
        self._monitor, self._send, self._on_built = monitor, send, on_built

    def build(self, active: ActiveFormation) -> None:
        """By any thread, which does not wait for it."""
        threading.Thread(target=self._live, args=(active,), name="formation", daemon=True).start()
        after(active.form.build_seconds, self._give_up, active)
        after(ADMIT_SECONDS, self._admit, active)

    def _live(self, active: ActiveFormation) -> None:
        form = active.form
        address = form.members[form.rank].address
        try:
            size, come_from = len(form.members), _addresses(form)
            group = ProcessGroup(active.store, form.rank, size, address, form.build_seconds, come_from)
        except GroupBroken as error:
            self._failed(active, str(error))
            return
        if self._built(active, group):
            self._on_built(active, group)
            active.serve(reducer_of(form.terms.reduction, group, active.form.hub), self._monitor)

    def _built(self, active: ActiveFormation, group: ProcessGroup) -> bool:
        with self._monitor:
            if active.left:
                group.shutdown()
                return False
            active.built = True
            group.stop_listening()
            self._send(Built(active.id))
            self._monitor.notify_all()
            return True

    def _admit(self, active: ActiveFormation) -> None:
        """Let everybody connect until the group is built, where all have told where they listen and do not
        come together: no stranger can bring that about."""
        with self._monitor:
            if active.left or active.built:
                return
            if len(active.store.listeners()) < len(active.form.members):
                after(ADMIT_SECONDS, self._admit, active)
                return
            admit(active.store, active.form.rank, EVERYBODY)
        log.warning(UNBUILT, active.id.number, ADMIT_SECONDS)

    def _give_up(self, active: ActiveFormation) -> None:
        self._failed(active, f"not built within {active.form.build_seconds:g} s")

    def _failed(self, active: ActiveFormation, error: str) -> None:
        with self._monitor:
            if active.left or active.built:
                return
            active.leave()
            missing = _unreachable(active)
            shut_down(active.store, active.form.rank)
            self._send(BuildFailed(active.id, missing, error))
            self._monitor.notify_all()


def after(seconds: float, job: Callable[..., None], *arguments: object) -> None:
    """Do it then, on a thread of its own."""
    timer = threading.Timer(seconds, job, arguments)
    timer.daemon = True
    timer.start()


def _addresses(form: Form) -> set[str]:
    """From which its members connect, as far as that is known."""
    return {address for peer in form.members for address in (peer.address, peer.comes_from)}


def _unreachable(active: ActiveFormation) -> list[str]:
    """Who has not published an address; if all have, to whom there is no connection."""
    published = active.store.listeners()
    others = [(rank, peer) for rank, peer in enumerate(active.form.members) if rank != active.form.rank]
    if silent := [peer.worker for rank, peer in others if rank not in published]:
        return silent
    reached = connected(active.store, active.form.rank)
    return [peer.worker for _, peer in others if peer.address not in reached]
