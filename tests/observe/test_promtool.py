"""promtool's judgement of rules, of their tests and of every page of metrics."""

import subprocess
from datetime import UTC, datetime
from pathlib import Path

import pytest
from prometheus_client import CollectorRegistry
from prometheus_client.exposition import generate_latest

from edgetrain.supervisor.metrics import Metrics as TrainerMetrics
from edgetrain_operator.core.model import NodeView
from edgetrain_operator.fleet.keyring import renewed
from edgetrain_operator.fleet.service import FleetService
from edgetrain_operator.runtime.metrics import Metrics as OperatorMetrics
from edgetrain_operator.runtime.relay import page
from tests.support.fleet import Lease
from tests.support.programs import program
from tests.support.promql import ROOT, RULES
from tests.support.relayed import NOW, job, training

ALERT_TESTS = sorted((ROOT / "tests" / "alerts").glob("*.yaml"))


def promtool(*arguments: str | Path, page: bytes | None = None) -> None:
    done = subprocess.run([program("promtool"), *arguments], input=page, capture_output=True, timeout=60)
    assert done.returncode == 0, (done.stdout + done.stderr).decode()


def operators_page() -> bytes:
    registry = CollectorRegistry()
    metrics = OperatorMetrics(registry)
    metrics.api_call("GET", "pods", "ok", 0.1)
    registry.register(FleetService(renewed(None, datetime.now(UTC)), Lease(), port=0).collector)
    return generate_latest(registry)


def trainers_page() -> bytes:
    metrics = TrainerMetrics()
    metrics.on_part(training())
    return generate_latest(metrics.registry)


def test_rules_are_rules() -> None:
    promtool("check", "rules", RULES)


def test_alerts_fire_when_they_should() -> None:
    assert ALERT_TESTS
    promtool("test", "rules", *ALERT_TESTS)


@pytest.mark.parametrize(
    "text",
    [operators_page(), page([job()], [NodeView("north")], NOW), trainers_page()],
    ids=["operator", "workers", "trainer"],
)
def test_pages_are_as_prometheus_wants_them(text: bytes) -> None:
    promtool("check", "metrics", page=text)
