"""By what work is merged, as the plan has it: an entry of the log names it for all that comes behind."""

from collections.abc import Callable
from functools import lru_cache

import msgspec

from edgetrain.rounds import policies
from edgetrain.rounds.policies import Policy
from edgetrain_protocol.strategy import MergeWeights, OuterRule, RoundPayload, RoundPolicy


class Agreed(msgspec.Struct, frozen=True):
    policy: RoundPolicy = RoundPolicy.SYNC
    limit: int = 0
    """Of the policy: groups, steps, seconds or versions."""
    weights: MergeWeights = MergeWeights.EQUAL
    outer: OuterRule = OuterRule.PLAIN
    learning_rate: float = 1.0
    momentum: float = 0.0
    """Both of the outer optimiser."""
    payload: RoundPayload = RoundPayload.FP32
    """Of work and of what versions add, on links and disks."""
    proximal: float = 0.0
    """How strongly steps of groups are pulled back to their base: mu of FedProx."""

    @property
    def text(self) -> str:
        """For an entry of the log. Empty where nothing is out of the usual, as before any such entry."""
        return "" if self == USUAL else msgspec.json.encode(self).decode()

    @staticmethod
    def of(text: str) -> "Agreed":
        """Raises msgspec.MsgspecError: it is something else."""
        return _read(text) if text else USUAL

    @property
    def closes(self) -> Policy:
        """When a round is closed, and with whose updates."""
        return policies.sync if self.policy is RoundPolicy.SYNC else _POLICIES[self.policy](self.limit)


USUAL = Agreed()
_POLICIES: dict[RoundPolicy, Callable[[int], Policy]] = {
    RoundPolicy.GROUPS: policies.quorum_of_groups,
    RoundPolicy.STEPS: policies.quorum_of_updates,
    RoundPolicy.DEADLINE: policies.deadline,
    RoundPolicy.STALENESS: policies.bounded_staleness,
}


@lru_cache(maxsize=16)
def _read(text: str) -> Agreed:
    return msgspec.json.decode(text, type=Agreed)
