"""Whether a namespace says itself what memory a container may have: then the operator does not."""

from edgetrain_operator.kube.client import Kube
from edgetrain_operator.kube.errors import Refused
from edgetrain_operator.kube.resources import LIMIT_RANGES

_SAYS = ("default", "max", "maxLimitRequestRatio")
"""What of a LimitRange a limit of the operator's would go before, or be refused by."""


async def limits_memory(kube: Kube, namespace: str) -> bool:
    """Not, where an operator is not allowed to look."""
    try:
        found = [raw async for raw in kube.list(LIMIT_RANGES, namespace)]
    except Refused:
        return False
    limits = [limit for raw in found for limit in raw["spec"].get("limits", ())]
    of_containers = [limit for limit in limits if limit.get("type") in ("Container", "Pod")]
    return any("memory" in limit.get(said, {}) for limit in of_containers for said in _SAYS)
