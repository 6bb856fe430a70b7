"""Nesterov's momentum over the work of rounds: `m = b m + x`, and `r (x + b m)` is added for the work `x`.

DiLoCo: Douillard et al., "DiLoCo: distributed low-communication training of language models" (2023), with
r = 0.7 and b = 0.9.
"""

import numpy as np

from edgetrain.aggregator.outer.optimizer import OuterState
from edgetrain.payload.codec import Floats


class Nesterov:
    def __init__(self, learning_rate: float, momentum: float) -> None:
        self._rate, self._beta = np.float32(learning_rate), np.float32(momentum)

    def added(self, work: Floats, state: OuterState, arrived: int, groups: int) -> Floats:
        ahead = np.multiply(self._moved(work, state), self._beta)
        return np.multiply(np.add(work, ahead), self._rate)

    def follow(self, added: Floats, state: OuterState, arrived: int, groups: int) -> OuterState:
        # added / r = x + b (b m + x), which is solved for x.
        work = np.divide(added, self._rate)
        if state.momentum is not None:
            work = np.subtract(work, np.multiply(state.momentum, self._beta * self._beta))
        work = np.divide(work, np.float32(1) + self._beta)
        return OuterState(self._moved(work, state))

    def _moved(self, work: Floats, state: OuterState) -> Floats:
        return work if state.momentum is None else np.add(np.multiply(state.momentum, self._beta), work)
