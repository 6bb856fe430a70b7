"""Each group counts by the samples that it has trained on.

FedAvg: McMahan et al., "Communication-efficient learning of deep networks from decentralized data" (2017).
"""

from collections.abc import Sequence

from edgetrain.rounds.entries import Contribution


def coefficients(updates: Sequence[Contribution], groups: int) -> list[float]:
    """As `equal` where an update does not say how many they were."""
    share = len(updates) / groups
    return [share * part for part in parts(updates)]


def parts(updates: Sequence[Contribution]) -> list[float]:
    """Of each in the samples of all, summing to 1."""
    if not all(update.samples for update in updates):
        return [1 / len(updates)] * len(updates)
    total = sum(update.samples for update in updates)
    return [update.samples / total for update in updates]
