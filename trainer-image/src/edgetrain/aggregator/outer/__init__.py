"""The outer optimiser: from the weighted work of a round to what is added to the model. One file for each.

Its state is the lead's and those of other holders. Entries do not carry it: whoever knows what versions add
can tell how it has moved (`follow`), by the same single operations on the same numbers, to the same bytes.
Statistics in float buffers are added as they are: an extrapolated variance turns negative.
"""

from collections.abc import Callable, Mapping
from dataclasses import dataclass, replace

import numpy as np

from edgetrain.aggregator.outer import delayed_nesterov, nesterov, plain
from edgetrain.aggregator.outer.optimizer import FRESH, OuterOptimizer, OuterState
from edgetrain.payload.codec import Floats
from edgetrain.rounds.agreed import USUAL, Agreed
from edgetrain.rounds.entries import Merge
from edgetrain_protocol.strategy import OuterRule

OPTIMIZERS: Mapping[OuterRule, Callable[[float, float], OuterOptimizer]] = {
    OuterRule.PLAIN: plain.Plain,
    OuterRule.NESTEROV: nesterov.Nesterov,
    OuterRule.DELAYED_NESTEROV: delayed_nesterov.DelayedNesterov,
}


@dataclass(frozen=True)
class Outer:
    """The optimiser of these settings, and how far it is."""

    agreed: Agreed = USUAL
    state: OuterState = FRESH

    def under(self, agreed: Agreed) -> "Outer":
        """By these settings from now on. A momentum of another optimiser says nothing of it."""
        kept = agreed.outer is self.agreed.outer
        return replace(self, agreed=agreed, state=self.state if kept else FRESH)

    def added(self, work: Floats, trained: int, arrived: int, groups: int) -> Floats:
        """What becomes of the weighted work.

        Args:
            trained: so many of its numbers, from its start, are no statistics.
            arrived: updates that it is of, where so many `groups` are on the books.
        """
        moved = self._optimizer.added(work[:trained], self.state, arrived, groups)
        return np.concatenate((moved, work[trained:])) if trained < len(work) else moved

    def after(self, merge: Merge, added: Floats, trained: int) -> "Outer":
        """Once this was added."""
        arrived, groups = len(merge.contributions), merge.groups
        return replace(self, state=self._optimizer.follow(added[:trained], self.state, arrived, groups))

    @property
    def _optimizer(self) -> OuterOptimizer:
        return OPTIMIZERS[self.agreed.outer](self.agreed.learning_rate, self.agreed.momentum)


UNMOVED = Outer()
