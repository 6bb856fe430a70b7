"""What a holder has to have on its disk before it stores entries: fetched from who sends them."""

from collections.abc import Callable

from edgetrain.aggregator.client import HolderClient
from edgetrain.aggregator.holder import Holder
from edgetrain.rounds.council_messages import Message, Refusal, Store


class Supply:
    """For any thread."""

    def __init__(self, holder: Holder, dial: Callable[[str], HolderClient]) -> None:
        """`dial`: a new client for the holder of this name. Raises KeyError: there is none."""
        self._holder, self._dial = holder, dial

    def fetch_for(self, message: Message, sender: str) -> None:
        """Before it is heard.

        Raises:
            HolderAway, HolderRefuses: the sender does not give it.
            KeyError: nobody has said where it is.
            OSError, BadJournal: there is no room for it.
        """
        if not isinstance(message, Store | Refusal) or not any(self._holder.lacks(message)):
            return
        with self._dial(sender) as giver:
            if message.entries and self._holder.lacks(message).whole:
                self._holder.take_whole(giver.whole_model())
            for merge in self._holder.lacks(message).merges:
                size = self._holder.layout.packing(merge.payload).bytes
                self._holder.take_vector(merge.digest, giver.fetch(merge.digest, size))
