"""How much each group's work counts in a version: one file for each way, chosen by the plan.

A weighing gives a coefficient for each update. Where all groups on the books are in a round, they sum to 1,
but for FedNova's, which go as far as the groups' steps did. Where only some are, they sum to the part that
those are of all: a late group's work is merged later, and must not count for more then.
"""

from collections.abc import Callable, Mapping, Sequence

import numpy as np

from edgetrain.aggregator.vectors import weighted_sum
from edgetrain.aggregator.weights import equal, fed_nova, samples
from edgetrain.payload.codec import Floats
from edgetrain.rounds.entries import Contribution
from edgetrain_protocol.strategy import MergeWeights

Weighing = Callable[[Sequence[Contribution], int], list[float]]
"""Of these updates, where so many groups are on the books."""

WEIGHINGS: Mapping[MergeWeights, Weighing] = {
    MergeWeights.EQUAL: equal.coefficients,
    MergeWeights.SAMPLES: samples.coefficients,
    MergeWeights.FED_NOVA: fed_nova.coefficients,
}


def work_of(
    weights: MergeWeights,
    updates: Sequence[Contribution],
    vectors: Sequence[Floats],
    groups: int,
    trained: int,
) -> Floats:
    """What groups have done, as one vector of which the first `trained` numbers are no statistics.

    Statistics are never weighed beyond their mean: an extrapolated variance turns negative.
    """
    coefficients = WEIGHINGS[weights](updates, groups)
    if weights is not MergeWeights.FED_NOVA or trained == len(vectors[0]):
        return weighted_sum(vectors, coefficients)
    moved = weighted_sum([vector[:trained] for vector in vectors], coefficients)
    mean = samples.coefficients(updates, groups)
    return np.concatenate((moved, weighted_sum([vector[trained:] for vector in vectors], mean)))
