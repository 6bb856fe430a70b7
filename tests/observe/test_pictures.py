"""Pictures of dashboards show what Prometheus answered: values in units, gaps as gaps."""

import math
from pathlib import Path
from typing import Any

import pytest

from benchmarks.pictures.answers import POINTS, Asked
from benchmarks.pictures.drawing import draw
from benchmarks.pictures.units import shown
from edgelab.dashboards import DASHBOARDS, dashboard
from edgelab.prometheus import Prometheus


@pytest.mark.parametrize(
    ("value", "unit", "text"),
    [
        (0.972, "percentunit", "97.2%"),
        (1.2e6, "Bps", "1.2 MB/s"),
        (3 * 2**30, "bytes", "3 GiB"),
        (0.004, "s", "4 ms"),
        (90, "s", "1.5 mins"),
        (29 * 86400.0, "s", "29 days"),
        (12345, "short", "12.3 K"),
        (0, "Bps", "0 B/s"),
        (-0.5, "short", "-0.5"),
    ],
)
def test_values_are_shown_in_their_units(value: float, unit: str, text: str) -> None:
    assert shown(value, unit) == text


class Answering(Prometheus):
    """Three nodes; nothing was heard of them in the middle third of the time."""

    def query(self, expression: str, at: float | None = None) -> list[dict[str, Any]]:
        labels = {"job_namespace": "farm", "job_name": "digits"}
        return [{"metric": labels, "value": [at, "1"]}]

    def query_range(self, expression: str, start: float, end: float, step: float) -> list[dict[str, Any]]:
        numbers = [n for n in range(POINTS + 1) if not 80 < n < 160]
        values = [[start + n * step, str(n % 2)] for n in numbers]
        return [{"metric": {"node": f"edge-{n}"}, "values": values} for n in (2, 1, 3)]


ASKED = Asked(Answering("nowhere"), 1000.0, 1480.0, {"node": "edge-1"})


def test_gaps_stay_gaps() -> None:
    panel = {"targets": [{"expr": "x", "legendFormat": "on {{node}}", "refId": "A"}]}
    lines = ASKED.lines(panel)
    assert [line.name for line in lines] == ["on edge-1", "on edge-2", "on edge-3"]
    assert [math.isnan(value) for value in lines[0].values] == [80 < n < 160 for n in range(POINTS + 1)]
    assert (lines[0].times[0], lines[0].times[-1], lines[0].last) == (1000.0, 1480.0, 0.0)


@pytest.mark.parametrize("path", DASHBOARDS, ids=lambda path: path.stem)
def test_every_kind_of_panel_can_be_drawn(path: Path, tmp_path: Path) -> None:
    variables = {"__rate_interval": "15s", "job_namespace": "farm", "job_name": "digits", "node": "edge-1"}
    asked = Asked(ASKED.prometheus, ASKED.begin, ASKED.end, variables)
    draw(dashboard(path), asked, {"something happens": 1200.0}, tmp_path / "drawn.png")
    assert (tmp_path / "drawn.png").stat().st_size > 20_000
