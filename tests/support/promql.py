"""What dashboards and alerts ask Prometheus, and which metrics an expression is about."""

import json
import re
from collections.abc import Iterator, Mapping
from dataclasses import dataclass
from pathlib import Path
from typing import Any

import yaml

ROOT = Path(__file__).parents[2]
FILES = ROOT / "charts" / "edgetrain" / "files"
DASHBOARDS = sorted((FILES / "dashboards").glob("*.json"))
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


@dataclass(frozen=True)
class Panel:
    dashboard: str
    title: str
    document: Mapping[str, Any]

    @property
    def expressions(self) -> list[str]:
        return [target["expr"] for target in self.document.get("targets", ())]

    def __str__(self) -> str:
        return f"{self.dashboard}: {self.title} (panel {self.document['id']})"


def dashboard(path: Path) -> dict[str, Any]:
    return dict(json.loads(path.read_text()))


def panels() -> Iterator[Panel]:
    """All that show something, of all dashboards."""
    for path in DASHBOARDS:
        for panel in dashboard(path)["panels"]:
            if panel["type"] != "row":
                yield Panel(path.stem, panel["title"], panel)


def alerts() -> list[dict[str, Any]]:
    groups = yaml.safe_load(RULES.read_text())["groups"]
    return [rule for group in groups for rule in group["rules"]]


def filled(expression: str, values: Mapping[str, str]) -> str:
    """An expression with a dashboard's variables filled in, as Grafana would."""
    for name, value in values.items():
        expression = expression.replace(f"${name}", value)
    assert "$" not in expression, f"a variable is left: {expression}"
    return expression
