"""What alerts ask Prometheus, and which metrics an expression is about."""

import re
from pathlib import Path
from typing import Any

import yaml

ROOT = Path(__file__).parents[2]
FILES = ROOT / "charts" / "edgetrain" / "files"
RULES = FILES / "rules" / "edgetrain.yaml"

_NOT_NAMES = (
    re.compile(r'"(?:[^"\\]|\\.)*"'),  # values of labels
    re.compile(r"\{[^}]*\}"),  # matchers
    re.compile(r"\[[^\]]*\]"),  # ranges
    re.compile(r"\b(?:by|without|on|ignoring|group_left|group_right)\s*\([^)]*\)"),
)
_NAME = re.compile(r"\b[a-zA-Z_:][a-zA-Z0-9_:]*\b(?!\s*\()")
_WORDS = {
    *("and", "or", "unless", "bool", "offset", "by", "without"),
    *("on", "ignoring", "group_left", "group_right"),
}


def metrics_of(expression: str) -> set[str]:
    """Names of the metrics in a PromQL expression."""
    for pattern in _NOT_NAMES:
        expression = pattern.sub(" ", expression)
    return {name for name in _NAME.findall(expression) if name not in _WORDS}


def documented(name: str, page: str) -> bool:
    """Whether docs/metrics.md has a metric, by the name of one of its samples."""
    family = re.sub(r"_(bucket|sum|count)$", "", name)
    return any(re.search(rf"^\| `{re.escape(n)}[`{{]", page, re.MULTILINE) for n in (name, family))


def alerts() -> list[dict[str, Any]]:
    groups = yaml.safe_load(RULES.read_text())["groups"]
    return [rule for group in groups for rule in group["rules"]]
