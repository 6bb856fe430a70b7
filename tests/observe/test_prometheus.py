"""A real Prometheus on loopback: it takes what the operator writes, and understands what dashboards ask."""

import asyncio
import json
import subprocess
import time
from collections.abc import Iterator
from pathlib import Path

import pytest

from edgelab.dashboards import Panel, filled, panels
from edgelab.prometheus import Prometheus, configuration, serve
from edgetrain_local.ports import free_port
from edgetrain_operator.runtime.backfill import series_of
from edgetrain_operator.runtime.remote_write import RemoteWriter
from tests.support.fleet import report
from tests.support.programs import program
from tests.support.promql import RULES, alerts
from tests.support.relayed import MEASURED, training

START_SECONDS = 30.0
EVERY = 15.0
GRAFANA = {"__rate_interval": "1m", "job_namespace": "farm", "job_name": "digits", "node": "node-w-a"}


@pytest.fixture(scope="module")
def prometheus(tmp_path_factory: pytest.TempPathFactory) -> Iterator[Prometheus]:
    directory = tmp_path_factory.mktemp("prometheus")
    settings = configuration(Path("/nowhere"), "nowhere", RULES) | {"scrape_configs": []}
    (directory / "prometheus.json").write_text(json.dumps(settings))
    address = f"127.0.0.1:{free_port()}"
    process = subprocess.Popen(serve(program("prometheus"), directory, address), stderr=subprocess.DEVNULL)
    started = Prometheus(f"http://{address}")
    try:
        end = time.monotonic() + START_SECONDS
        while not started.ready():
            assert process.poll() is None and time.monotonic() < end, "Prometheus did not start"
            time.sleep(0.05)
        yield started
    finally:
        process.kill()
        process.wait()


def test_a_backlog_of_hours_is_found_under_its_own_times(prometheus: Prometheus) -> None:
    began = time.time() // 1 - 3 * 3600
    times = [began + n * EVERY for n in range(40)]
    backlog = [(("farm", "digits"), report(at=at, training=training(), measured=MEASURED)) for at in times]

    async def write() -> None:
        writer = RemoteWriter(prometheus.write_url)
        # Another worker's backlog may be older than what is there already.
        await writer.write(series_of(backlog[20:]))
        await writer.write(series_of(backlog[:20]))
        await writer.close()

    asyncio.run(write())
    (series,) = prometheus.query_range("timestamp(edgetrain_step)", times[0], times[-1], EVERY)
    assert [float(value) for _, value in series["values"]] == times
    assert series["metric"] == {"job_namespace": "farm", "job_name": "digits", "node": "node-w-a"}
    (phase,) = prometheus.query('edgetrain_phase_seconds_total{phase="reduce"}', began + 1)
    assert float(phase["value"][1]) == 7.0


@pytest.mark.parametrize("panel", list(panels()), ids=str)
def test_every_query_is_understood(prometheus: Prometheus, panel: Panel) -> None:
    for expression in panel.expressions:
        prometheus.query(filled(expression, GRAFANA))


def test_every_alert_is_evaluated(prometheus: Prometheus) -> None:
    end = time.monotonic() + START_SECONDS
    while any(rule["health"] != "ok" for rule in prometheus.rules()):
        assert time.monotonic() < end, prometheus.rules()
        time.sleep(0.2)
    assert {rule["name"] for rule in prometheus.rules()} == {alert["alert"] for alert in alerts()}
