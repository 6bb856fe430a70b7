"""The chart's dashboards: their panels, and what each asks Prometheus."""

import json
from collections.abc import Iterator, Mapping
from dataclasses import dataclass
from pathlib import Path
from typing import Any

from edgelab.demo.install import CHART

FOLDER = CHART / "files" / "dashboards"
DASHBOARDS = sorted(FOLDER.glob("*.json"))


@dataclass(frozen=True)
class Panel:
    """`document` is as Grafana has it."""

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


def filled(expression: str, values: Mapping[str, str]) -> str:
    """An expression with a dashboard's variables filled in, as Grafana would.

    Raises:
        ValueError: there is a variable that has no value.
    """
    for name, value in values.items():
        expression = expression.replace(f"${name}", value)
    if "$" in expression:
        raise ValueError(f"a variable is left: {expression}")
    return expression
