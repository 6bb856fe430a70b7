"""Nesterov's momentum for groups that come when they can: it moves once for as many updates as there are
groups, `m = b m + (work since)`, and only then goes ahead. In between work is added as it is, times the rate.

Delayed Nesterov: Liu et al., "Asynchronous local-SGD training for language modeling" (2024), with c = 0. The
plain one gives stale work its momentum each time that any arrives, and is worse than none.
"""

import numpy as np

from edgetrain.aggregator.outer.optimizer import OuterState
from edgetrain.payload.codec import Floats


class DelayedNesterov:
    def __init__(self, learning_rate: float, momentum: float) -> None:
        self._rate, self._beta = np.float32(learning_rate), np.float32(momentum)

    def added(self, work: Floats, state: OuterState, arrived: int, groups: int) -> Floats:
        if state.arrived + arrived < groups:
            return np.multiply(work, self._rate)
        ahead = np.multiply(self._moved(work, state), self._beta)
        return np.multiply(np.add(work, ahead), self._rate)

    def follow(self, added: Floats, state: OuterState, arrived: int, groups: int) -> OuterState:
        work = np.divide(added, self._rate)
        if state.arrived + arrived < groups:
            buffer = work if state.buffer is None else np.add(state.buffer, work)
            return OuterState(state.momentum, buffer, state.arrived + arrived)
        # added / r = x + b (b m + buffer + x), which is solved for x.
        for known, part in ((state.momentum, self._beta * self._beta), (state.buffer, self._beta)):
            if known is not None:
                work = np.subtract(work, np.multiply(known, part))
        return OuterState(self._moved(np.divide(work, np.float32(1) + self._beta), state))

    def _moved(self, work: Floats, state: OuterState) -> Floats:
        if state.buffer is not None:
            work = np.add(state.buffer, work)
        return work if state.momentum is None else np.add(np.multiply(state.momentum, self._beta), work)
