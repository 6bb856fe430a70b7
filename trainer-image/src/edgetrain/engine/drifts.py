"""Members whose parameters were found to differ: what it comes from, and when it is told beyond the log."""

import logging
from collections.abc import Callable

from edgetrain.engine.meter import Meter
from edgetrain.link import Mended, Message, Warned

log = logging.getLogger(__name__)

LAST_BITS = 1e-4
"""Of the largest parameter: other processors' kernels come to no more between two comparisons."""
TOLD_FROM = 3
"""Times; and so many comparisons without one end it."""
REASON = "ParametersDiffer"
CAUSE = (
    "the program moves them by what it alone knows: a counter or a learning rate of its own, random numbers, "
    "a scheduler or an average that was not given to session.prepare"
)


class Drifts:
    """Of one member. By the program's thread."""

    def __init__(self, send: Callable[[Message], None], meter: Meter) -> None:
        self._send, self._meter = send, meter
        self._times = self._calm = 0

    def mended(self, apart: float) -> None:
        """This member's were as far from the aggregator's, in parts of the largest, and are no more."""
        if apart <= LAST_BITS:
            log.info("parameters differed in the last bits, as other processors' kernels have it")
            return
        self._times, self._calm = self._times + 1, 0
        text = f"this member's parameters were {apart:.2g} of the largest off and were mended: {CAUSE}"
        log.warning("%s", text)
        self._meter.noted("parametersDiffered", self._times)
        if self._times >= TOLD_FROM:
            self._send(Warned(REASON, f"{text} ({self._times} times so far)"))

    def none(self) -> None:
        """Members' parameters were compared, and are the same."""
        self._calm += 1
        if self._calm == TOLD_FROM and self._times >= TOLD_FROM:
            self._send(Mended(REASON))
