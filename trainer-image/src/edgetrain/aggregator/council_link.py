"""Says to another holder what this one has to say, and brings its answers: a thread for each other one."""

import logging
import threading
import time
from contextlib import suppress

from edgetrain.aggregator.client import HolderAway, HolderClient, HolderRefuses
from edgetrain.aggregator.holder import Holder
from edgetrain.aggregator.journal import BadJournal
from edgetrain.aggregator.rivals import BEAT_SECONDS
from edgetrain.aggregator.supply import Supply
from edgetrain.aggregator.vectors import BadVector

log = logging.getLogger(__name__)


class CouncilLink:
    def __init__(self, holder: Holder, supply: Supply, other: str, client: HolderClient) -> None:
        self._holder, self._supply, self._other, self._client = holder, supply, other, client
        self._closing = False
        threading.Thread(target=self._run, name=f"council-{other}", daemon=True).start()

    def close(self) -> None:
        """Soon nothing is said to it any more."""
        self._closing = True

    def _run(self) -> None:
        with self._client:
            while not self._closing:
                try:
                    moved = self._exchange()
                except (HolderAway, HolderRefuses, BadJournal, BadVector, OSError) as error:
                    log.debug("holder %s: %s", self._other, error)
                    moved = False
                    self._note(error)
                if not moved:
                    time.sleep(BEAT_SECONDS)

    def _note(self, error: Exception) -> None:
        if isinstance(error.__cause__, ConnectionRefusedError):
            with suppress(TimeoutError):
                self._holder.miss(self._other)

    def _exchange(self) -> bool:
        """Returns whether it was answered anything: what is said in vain is said again no sooner than in a
        while."""
        message = self._holder.message_for(self._other, BEAT_SECONDS)
        answers = self._client.say(self._holder.name, message)
        for answer in answers:
            self._supply.fetch_for(answer, self._other)
            self._holder.hear(self._other, answer)
        if not answers:
            self._holder.hear(self._other)
        return bool(answers)
