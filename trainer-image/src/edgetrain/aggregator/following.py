"""A holder does what its supervisor has written down for it, as of now, and shows where it is."""

import logging
import threading
import time
from pathlib import Path

from edgetrain.aggregator.charge import Charge, HolderShown
from edgetrain.aggregator.client import HolderClient
from edgetrain.aggregator.council_link import CouncilLink
from edgetrain.aggregator.documents import BadDocument
from edgetrain.aggregator.holder import Holder
from edgetrain.aggregator.supply import Supply
from edgetrain.credentials import Credentials

log = logging.getLogger(__name__)

LOOK_SECONDS = 0.5


class Following:
    """`look` is of one thread, the rest for any."""

    def __init__(self, directory: Path, charge: Charge, holder: Holder, credentials: Credentials) -> None:
        self._directory, self.charge, self._holder = directory, charge, holder
        self._credentials = credentials
        self.supply = Supply(holder, self.dial)
        self._links: dict[str, CouncilLink] = {}
        self._shown: HolderShown | None = None

    def dial(self, name: str) -> HolderClient:
        """A new client for the holder of this name. Raises KeyError: there is none."""
        place = self.charge.line[name]
        return HolderClient(lambda: [self.charge.line.get(name, place)], self._credentials)

    def follow_on(self) -> None:
        """For ever: with the process it ends."""
        while True:
            self.look()
            time.sleep(LOOK_SECONDS)

    def look(self) -> None:
        try:
            charge = Charge.read(self._directory)
            if charge != self.charge or not self._links:
                self._take(charge)
            self._show()
        except (OSError, BadDocument, TimeoutError) as error:
            log.warning("what the plan says is not known: %s", error)

    def _take(self, charge: Charge) -> None:
        self.charge = charge
        self._holder.follow(charge)
        for name in self._links.keys() - charge.line.keys():
            self._links.pop(name).close()
        for name in charge.line.keys() - self._links.keys() - {self._holder.name}:
            self._links[name] = CouncilLink(self._holder, self.supply, name, self.dial(name))

    def _show(self) -> None:
        holder, shown = self._holder, self._holder.shown
        now = HolderShown(trouble=holder.trouble)
        if shown is not None:
            log_at, council = shown.log, shown.log.council(shown.log.last.index)
            leads = shown.leads and holder.serves
            now = HolderShown(
                shown.term,
                leads,
                shown.model.version,
                tuple(sorted(council.members)),
                log_at.committed,
                holder.trouble,
            )
        if now != self._shown:
            now.write(self._directory)
            self._shown = now


def in_background(following: Following) -> None:
    threading.Thread(target=following.follow_on, name="plan", daemon=True).start()
