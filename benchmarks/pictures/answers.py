"""What Prometheus answers to a panel, by the names that its legend gives."""

import re
from collections.abc import Iterator, Mapping
from dataclasses import dataclass
from typing import Any

from edgelab.dashboards import filled
from edgelab.prometheus import Prometheus, Sample

POINTS = 240
_AUTO = "__auto"


@dataclass(frozen=True)
class Line:
    """One series: Unix times in seconds, NaN where there is a gap."""

    name: str
    times: list[float]
    values: list[float]

    @property
    def last(self) -> float:
        """The newest value; NaN without one."""
        return next((value for value in reversed(self.values) if value == value), float("nan"))


@dataclass(frozen=True)
class Asked:
    """A Prometheus, from when to when (Unix seconds), and values of the dashboards' variables."""

    prometheus: Prometheus
    begin: float
    end: float
    variables: Mapping[str, str]

    def lines(self, panel: Mapping[str, Any]) -> list[Line]:
        """Of all queries of a panel, sorted as Grafana does: by query, then by name."""
        return [line for target in panel["targets"] for line in self._of(target)]

    def table(self, panel: Mapping[str, Any]) -> list[dict[str, str | float]]:
        """Rows of a table whose queries are merged by their labels; values are named `Value #A` and so on."""
        rows: dict[tuple[tuple[str, str], ...], dict[str, str | float]] = {}
        for target in panel["targets"]:
            for sample in self.prometheus.query(filled(target["expr"], self.variables), self.end):
                labels = dict(sorted(sample["metric"].items()))
                row = rows.setdefault(tuple(labels.items()), dict(labels))
                row[f"Value #{target['refId']}"] = float(sample["value"][1])
        return list(rows.values())

    def _of(self, target: Mapping[str, Any]) -> Iterator[Line]:
        step = (self.end - self.begin) / POINTS
        expression = filled(target["expr"], self.variables)
        found = self.prometheus.query_range(expression, self.begin, self.end, step)
        named = sorted((_name(target["legendFormat"], s["metric"]), n) for n, s in enumerate(found))
        for name, n in named:
            yield self._line(name, found[n], step)

    def _line(self, name: str, sample: Sample, step: float) -> Line:
        had = {round((float(at) - self.begin) / step): float(value) for at, value in sample["values"]}
        numbers = range(POINTS + 1)
        return Line(
            name, [self.begin + n * step for n in numbers], [had.get(n, float("nan")) for n in numbers]
        )


def _name(template: str, labels: Mapping[str, str]) -> str:
    if template == _AUTO:
        return ""
    return re.sub(r"\{\{(\w+)\}\}", lambda found: labels.get(found[1], ""), template).strip()
