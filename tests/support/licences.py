"""Under which licences the packages may be that come with ours at runtime, and under which those are that are
installed. From their own metadata, so that it takes no network."""

from collections.abc import Iterable, Iterator
from email.message import Message
from fnmatch import fnmatch
from importlib.metadata import Distribution, distribution

from packaging.requirements import Requirement
from packaging.utils import canonicalize_name

OURS = ("edgetrain", "edgetrain-operator", "edgetrain-protocol")
ALLOWED = {
    *("0BSD", "Apache-2.0", "Apache-2.0 WITH LLVM-exception", "BSD-2-Clause", "BSD-3-Clause", "BSL-1.0"),
    *("CC0-1.0", "ISC", "MIT", "MIT-0", "PSF-2.0", "Zlib"),
    # Asks for the source of what is changed of it: we change nothing.
    "MPL-2.0",
}
"""By their names in SPDX (https://spdx.org/licenses)."""
_CUDA = "of torch's CUDA build, under NVIDIA's licence; images have its CPU build where not told otherwise"
ELSEWHERE = {"cuda-toolkit": _CUDA, "nvidia-*": _CUDA}
"""Packages that no list of licences decides on, and why they may come along."""
SPELLINGS = {
    "Apache 2.0": "Apache-2.0",
    "Apache Software License": "Apache-2.0",
    "BSD": "BSD-3-Clause",
    "BSD License": "BSD-3-Clause",
    "MIT License": "MIT",
    "Mozilla Public License 2.0 (MPL 2.0)": "MPL-2.0",
    "Python Software Foundation License": "PSF-2.0",
}
"""Of metadata from before there were licence expressions (PEP 639)."""
LONGEST_NAME = 60
"""Longer, and it is the licence's text."""


def installed(packages: Iterable[str]) -> dict[str, Distribution]:
    """These and all that they need on this platform, by name."""
    found: dict[str, Distribution] = {}
    waiting, seen = [Requirement(name) for name in packages], set[str]()
    while waiting:
        wish = waiting.pop()
        if str(wish) in seen:
            continue
        seen.add(str(wish))
        name = canonicalize_name(wish.name)
        found[name] = distribution(name)
        needs = map(Requirement, found[name].requires or ())
        waiting += [need for need in needs if _needed(need, {"", *wish.extras})]
    return found


def _needed(need: Requirement, extras: Iterable[str]) -> bool:
    return need.marker is None or any(need.marker.evaluate({"extra": extra}) for extra in extras)


def licence(metadata: Message) -> str:
    """As an SPDX expression, as far as it can be told; empty where nothing is said."""
    if expression := metadata.get("License-Expression"):
        return str(expression)
    named = str(metadata.get("License") or "")
    if not named or len(named) > LONGEST_NAME:
        kinds = (text.split(" :: ") for text in metadata.get_all("Classifier", ()))
        named = " AND ".join(kind[-1] for kind in kinds if kind[0] == "License")
    return " AND ".join(SPELLINGS.get(part, part) for part in named.split(" AND "))


def allowed(expression: str) -> bool:
    """AND binds tighter than OR; with parentheses, where the answer would be another, it is no."""
    choices = (choice.replace("(", "").replace(")", "").split(" AND ") for choice in expression.split(" OR "))
    whole = all if "(" in expression else any
    return whole(all(part.strip() in ALLOWED for part in choice) for choice in choices)


def refused(found: dict[str, Distribution]) -> Iterator[str]:
    """What is wrong, package by package, and how to mend it."""
    for name, package in sorted(found.items()):
        if name in OURS or any(fnmatch(name, pattern) for pattern in ELSEWHERE):
            continue
        says = licence(package.metadata)  # type: ignore[arg-type]
        if not allowed(says):
            under = says or "a licence that its metadata do not name"
            yield (
                f"{name} {package.version} is under {under}, which is not among those allowed: do without "
                "it, or where its licence suits add that to ALLOWED (or the package, with the reason, to "
                "ELSEWHERE) in tests/support/licences.py"
            )
