"""CEL rules: what a schema cannot say, checked by the API server and written beside the model they guard.

Each message says what to change. A rule is evaluated after defaults are filled in, so `has()` is
needed only for fields without a default. The API server prices a rule by the bounds of what it
touches and refuses the whole CRD where it is too dear.
"""

from collections.abc import Iterable
from typing import Any

VALIDATIONS = "x-kubernetes-validations"


def rule(expression: str, message: str, *, field: str = "", forbidden: bool = False) -> dict[str, str]:
    """One rule. `field` moves the error to a field below; `forbidden` leaves the value out of the error."""
    found = {"rule": expression, "message": message}
    if field:
        found["fieldPath"] = f".{field}"
    if forbidden:
        found["reason"] = "FieldValueForbidden"
    return found


def checked(*rules: dict[str, str]) -> dict[str, Any]:
    """For `json_schema_extra` of a model or a field."""
    return {VALIDATIONS: list(rules)}


def immutable(field: str, where: str, *, optional: bool = False) -> dict[str, str]:
    """For the model that holds `field`: a rule of the field itself is silent when the field comes or goes."""
    same = f"self.{field} == oldSelf.{field}"
    if optional:
        same = f"has(self.{field}) == has(oldSelf.{field}) && (!has(self.{field}) || {same})"
    return rule(
        same,
        f"{where}.{field} cannot be changed: delete the job and create it anew",
        field=field,
        forbidden=True,
    )


def one_of(
    fields: Iterable[str], what: str, otherwise: str = "leave it out"
) -> tuple[dict[str, str], dict[str, str]]:
    """Exactly one of the optional fields is given; `otherwise`: what else may be done where none is."""
    names = list(fields)
    count = f"[{', '.join(f'has(self.{n})' for n in names)}].filter(given, given).size()"
    listed = ", ".join(names)
    return (
        rule(f"{count} <= 1", f"{what} takes one of {listed}: remove the others"),
        rule(f"{count} >= 1", f"{what} is empty: give one of {listed}, or {otherwise}"),
    )


def keyed(field: str) -> dict[str, Any]:
    """For `json_schema_extra` of a list: entries are told apart by this field, and none comes twice."""
    return {"x-kubernetes-list-type": "map", "x-kubernetes-list-map-keys": [field]}


LEFT_OPEN_KEY = "x-left-open"
LEFT_OPEN: dict[str, Any] = {LEFT_OPEN_KEY: True}
"""For a model whose defaults the API server does not fill in, so that what a job says is told from what it
does not: that, its runtime may say."""
UNIQUE: dict[str, Any] = {"x-kubernetes-list-type": "set"}
ATOMIC: dict[str, Any] = {"x-kubernetes-list-type": "atomic"}
ATOMIC_MAP: dict[str, Any] = {"x-kubernetes-map-type": "atomic"}
"""A map that becomes empty: key by key, server-side apply would leave null, which is refused."""
