"""Each group's direction counts by its samples, however many steps it took; together they go as far as their
steps did on average. So who takes more steps than others does not pull the model to its own optimum.

FedNova: Wang et al., "Tackling the objective inconsistency problem in heterogeneous federated optimization"
(2020), for plain SGD in the groups: work is divided by the number of its steps. For other optimisers there is
no closed form of how far a step goes, and the same is done.
"""

from collections.abc import Sequence

from edgetrain.aggregator.weights import samples
from edgetrain.rounds.entries import Contribution


def coefficients(updates: Sequence[Contribution], groups: int) -> list[float]:
    steps = [max(update.steps, 1) for update in updates]
    parts = samples.parts(updates)
    mean = sum(part * count for part, count in zip(parts, steps, strict=True))
    share = len(updates) / groups
    return [share * part * mean / count for part, count in zip(parts, steps, strict=True)]
