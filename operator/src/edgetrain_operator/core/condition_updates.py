"""status.conditions as of Kubernetes' conventions: a map by type, times that change with status alone."""

from collections.abc import Iterable
from typing import Literal

from edgetrain_operator.core.observe import unix_time
from edgetrain_protocol.status import Condition, ConditionType

MESSAGE_MAX = 2000

Said = tuple[ConditionType, bool, str, str]
"""Type, whether it holds, reason, message."""


def update(before: Iterable[Condition], said: Iterable[Said], at: str, generation: int) -> list[Condition]:
    """The conditions now; those of types that are not ours stay as they are."""
    known = {condition.type: condition for condition in before}
    for kind, holds, reason, message in said:
        status: Literal["True", "False"] = "True" if holds else "False"
        old = known.get(kind)
        same = old is not None and old.status == status and unix_time(old.last_transition_time)
        since = old.last_transition_time if old and same else at
        known[kind] = Condition(
            type=kind,
            status=status,
            reason=reason,
            message=message[:MESSAGE_MAX],
            last_transition_time=since,
            observed_generation=generation,
        )
    return list(known.values())
