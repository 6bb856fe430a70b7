"""Kubernetes' label selectors and tolerations, as the API server and the scheduler read them."""

from collections.abc import Iterable, Mapping, Sequence
from typing import Any

from edgetrain_operator.core.model import Taint
from edgetrain_protocol.pods import LabelRequirement, LabelSelector, Operator

KEEPS_PODS_OUT = ("NoSchedule", "NoExecute")


def selects(selector: LabelSelector, labels: Mapping[str, str]) -> bool:
    """Whether all of the selector's requirements hold; an empty one selects everything."""
    exact = all(labels.get(key) == value for key, value in selector.match_labels.items())
    return exact and all(_holds(requirement, labels) for requirement in selector.match_expressions)


def _holds(requirement: LabelRequirement, labels: Mapping[str, str]) -> bool:
    value = labels.get(requirement.key)
    match requirement.operator:
        case Operator.IN:
            return value in requirement.values
        case Operator.NOT_IN:
            return value not in requirement.values
        case Operator.EXISTS:
            return value is not None
        case Operator.DOES_NOT_EXIST:
            return value is None


def first_not_tolerated(taints: Iterable[Taint], tolerations: Sequence[Mapping[str, Any]]) -> Taint | None:
    """The first taint that keeps a pod with these tolerations off its node."""
    hindering = (taint for taint in taints if taint.effect in KEEPS_PODS_OUT)
    return next(
        (t for t in hindering if not any(_tolerates(toleration, t) for toleration in tolerations)), None
    )


def _tolerates(toleration: Mapping[str, Any], taint: Taint) -> bool:
    if toleration.get("effect") not in (None, "", taint.effect):
        return False
    key = toleration.get("key") or ""
    if toleration.get("operator") == "Exists":
        return key in ("", taint.key)
    return key == taint.key and (toleration.get("value") or "") == taint.value
