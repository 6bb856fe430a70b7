"""Work is added as it is, times the learning rate: with 1, as local SGD and FedAvg do."""

import numpy as np

from edgetrain.aggregator.outer.optimizer import OuterState
from edgetrain.payload.codec import Floats


class Plain:
    def __init__(self, learning_rate: float, momentum: float) -> None:
        self._rate = np.float32(learning_rate)

    def added(self, work: Floats, state: OuterState, arrived: int, groups: int) -> Floats:
        return work if self._rate == 1 else np.multiply(work, self._rate)

    def follow(self, added: Floats, state: OuterState, arrived: int, groups: int) -> OuterState:
        return state
