"""By what the work of groups is merged, as the job says it."""

from edgetrain_protocol.plan import RoundSettings
from edgetrain_protocol.strategy import OuterRule, RoundPolicy
from edgetrain_protocol.strategy_spec import Strategy

PLAIN_RATE = 1.0
RATE, MOMENTUM = 0.7, 0.9
"""Of Nesterov's momentum over rounds: what "DiLoCo" (Douillard et al., 2023) found best."""


def round_settings(strategy: Strategy) -> RoundSettings:
    plain = strategy.outer is OuterRule.PLAIN
    rate, momentum = strategy.outer_learning_rate, strategy.outer_momentum
    limited = strategy.round_policy is not RoundPolicy.SYNC
    return RoundSettings(
        policy=strategy.round_policy,
        limit=(strategy.round_limit or 1) if limited else 0,
        weights=strategy.merge_weights,
        outer=strategy.outer,
        learning_rate=rate if rate is not None else PLAIN_RATE if plain else RATE,
        payload=strategy.round_payload,
        proximal=strategy.proximal,
        momentum=0.0 if plain else MOMENTUM if momentum is None else momentum,
    )
