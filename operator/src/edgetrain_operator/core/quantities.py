"""Amounts as Kubernetes writes them, and the larger of two."""

import re
from collections.abc import Iterable, Mapping
from decimal import Decimal
from typing import Any

_TENS = {"n": -9, "u": -6, "m": -3, "": 0, "k": 3, "M": 6, "G": 9, "T": 12, "P": 15, "E": 18}
_TWOS = {"Ki": 10, "Mi": 20, "Gi": 30, "Ti": 40, "Pi": 50, "Ei": 60}
_FORM = re.compile(r"([+-]?(?:[0-9]+\.?[0-9]*|\.[0-9]+))(?:[eE]([+-]?[0-9]{1,3}))?([KMGTPE]i|[numkMGTPE]|)")


def amount(quantity: object) -> Decimal:
    """In units: cores, bytes.

    Raises:
        ValueError: it is none.
    """
    found = _FORM.fullmatch(str(quantity))
    if found is None:
        raise ValueError(f"{quantity!r} is no quantity")
    number = Decimal(found[1]).scaleb(int(found[2] or 0))
    return number * 2 ** _TWOS[found[3]] if found[3] in _TWOS else number.scaleb(_TENS[found[3]])


def largest(several: Iterable[Mapping[str, Any]]) -> dict[str, dict[str, Any]]:
    """Requests and limits that are enough for any of these containers' resources."""
    found: dict[str, dict[str, Any]] = {}
    for resources in several:
        for kind in ("requests", "limits"):
            for name, quantity in (resources.get(kind) or {}).items():
                held = found.setdefault(kind, {})
                held[name] = max(held.get(name, quantity), quantity, key=amount)
    return found
