"""Every metric there is has its line in docs/metrics.md."""

import re
from datetime import UTC, datetime
from pathlib import Path

from prometheus_client import CollectorRegistry

from edgetrain.fleet_client import FleetClient
from edgetrain.supervisor.metrics import Metrics as TrainerMetrics
from edgetrain_operator.fleet.keyring import renewed
from edgetrain_operator.fleet.service import FleetService
from edgetrain_operator.runtime.metrics import Metrics as OperatorMetrics
from tests.support.fleet import Lease, report, serving, settings_for

DOCUMENTED = (Path(__file__).parents[2] / "docs" / "metrics.md").read_text()


def undocumented(registry: CollectorRegistry) -> list[str]:
    names = {family.name for family in registry.collect()}
    return [name for name in sorted(names) if not re.search(f"`{name}(_total)?[`{{]", DOCUMENTED)]


def test_operators() -> None:
    registry = CollectorRegistry()
    OperatorMetrics(registry)
    registry.register(FleetService(renewed(None, datetime.now(UTC)), Lease(), port=0).collector)
    assert undocumented(registry) == []


def test_trainers() -> None:
    assert undocumented(TrainerMetrics().registry) == []


def test_reports_are_counted(tmp_path: Path) -> None:
    registry = CollectorRegistry()
    with serving() as service, FleetClient(settings_for(service, tmp_path)) as client:
        registry.register(service.collector)
        client.send([report(sequence=0), report(sequence=1)])
        assert registry.get_sample_value("edgetrain_operator_fleet_reports_total", {"result": "taken"}) == 2
        assert registry.get_sample_value("edgetrain_operator_fleet_workers") == 1
