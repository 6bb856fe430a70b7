"""Dashboards and alerts ask for metrics that exist, and each says what it means."""

from collections import Counter
from pathlib import Path
from typing import Any

import pytest
import yaml

from edgelab.dashboards import DASHBOARDS, Panel, dashboard, panels
from tests.support.promql import ROOT, alerts, documented, metrics_of

PAGE = (ROOT / "docs" / "metrics.md").read_text()
PANELS = list(panels())
ALERTS = alerts()


def alert_name(alert: dict[str, Any]) -> str:
    return str(alert["alert"])


@pytest.mark.parametrize(
    ("expression", "names"),
    [
        ("max(edgetrain_step)", {"edgetrain_step"}),
        (
            'sum by (a, b) (rate(x_total{c="d", e=~"f|g"}[5m])) / ignoring (a) group_left () y',
            {"x_total", "y"},
        ),
        ("time() - max by (node) (z) > 0.25 * 1e3", {"z"}),
        ('a unless on (job_name) b{condition=~"C"} == 1 and c offset 5m', {"a", "b", "c"}),
        ("histogram_quantile(0.99, sum by (le) (rate(s_bucket[$__rate_interval])))", {"s_bucket"}),
    ],
)
def test_names_are_found_in_expressions(expression: str, names: set[str]) -> None:
    assert metrics_of(expression) == names


@pytest.mark.parametrize("panel", PANELS, ids=str)
def test_a_panel_asks_for_what_exists(panel: Panel) -> None:
    assert panel.expressions, "a panel without a query shows nothing"
    for expression in panel.expressions:
        names = metrics_of(expression)
        assert names, expression
        assert [name for name in sorted(names) if not documented(name, PAGE)] == []


@pytest.mark.parametrize("panel", PANELS, ids=str)
def test_a_panel_says_what_it_shows(panel: Panel) -> None:
    assert panel.document["description"].endswith(".")
    sources = [panel.document["datasource"], *(t["datasource"] for t in panel.document["targets"])]
    assert {source["uid"] for source in sources} == {"${datasource}"}


@pytest.mark.parametrize("path", DASHBOARDS, ids=lambda path: path.stem)
def test_a_dashboard_can_be_loaded_beside_the_others(path: Path) -> None:
    document = dashboard(path)
    assert document["uid"] == f"edgetrain-{path.stem}"
    ids = Counter(panel["id"] for panel in document["panels"])
    assert max(ids.values()) == 1
    variables = document["templating"]["list"]
    assert variables[0]["type"] == "datasource"
    queries = [v["definition"].removeprefix("label_values").partition(",")[0] for v in variables[1:]]
    names = {name for query in queries for name in metrics_of(query.strip("()"))}
    assert [name for name in sorted(names) if not documented(name, PAGE)] == []


def test_there_are_three() -> None:
    assert [path.stem for path in DASHBOARDS] == ["fleet", "job", "node"]


@pytest.mark.parametrize("panel", [p for p in PANELS if p.dashboard in ("job", "node")], ids=str)
def test_a_panel_of_one_job_or_node_shows_no_other(panel: Panel) -> None:
    wanted = {"job": 'job_namespace="$job_namespace", job_name="$job_name"', "node": 'node="$node"'}
    for expression in panel.expressions:
        assert expression.count(wanted[panel.dashboard]) == expression.count("edgetrain_"), expression


@pytest.mark.parametrize("alert", ALERTS, ids=alert_name)
def test_an_alert_is_on_what_exists_and_has_a_page(alert: dict[str, Any]) -> None:
    names = metrics_of(alert["expr"])
    assert names
    assert [name for name in sorted(names) if not documented(name, PAGE)] == []
    assert {"summary", "description", "runbook_url"} <= alert["annotations"].keys()
    page = (ROOT / alert["annotations"]["runbook_url"]).read_text()
    assert alert["alert"] in page.splitlines()[0]
    for part in ("**Means.**", "**Matters.**", "**Look at.**", "**Do.**"):
        assert part in page
    assert alert["labels"]["severity"] in ("warning", "critical")


def test_every_alert_is_seen_to_fire_and_not_to_fire() -> None:
    """In the tests that promtool runs."""
    cases = [
        case
        for path in (ROOT / "tests" / "alerts").glob("*.yaml")
        for test in yaml.safe_load(path.read_text())["tests"]
        for case in test["alert_rule_test"]
    ]
    fired = {case["alertname"] for case in cases if case["exp_alerts"]}
    quiet = {case["alertname"] for case in cases if not case["exp_alerts"]}
    assert fired == quiet == {alert["alert"] for alert in ALERTS}
