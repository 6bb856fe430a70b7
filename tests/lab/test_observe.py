"""A real job, as Prometheus sees it by way of the operator: every panel has data, and gaps are filled."""

import math
import time
from collections.abc import Iterator

import pytest

from benchmarks.bed import Bed
from benchmarks.waiting import wait_for
from edgelab.dashboards import filled, panels
from edgelab.demo.install import OPERATOR_NAMESPACE
from edgelab.lab import Lab
from edgelab.prometheus import Prometheus, Sample, end_prometheus, start_prometheus
from tests.support.promql import RULES
from tests.support.release import HERE

pytestmark = pytest.mark.lab

LINKS = {"edge-1": "100mbit", "edge-2": "50mbit", "edge-3": "50mbit", "edge-4": "20mbit"}
NAMESPACE = "observe"
MOST_SERIES = 60
SENSORS = ("edgetrain_profiler_node_temperature_celsius", "edgetrain_profiler_node_battery_ratio")
"""Not every machine has them."""
OF_ROUNDS = ("edgetrain_version",)
"""Not every job has them: `tests/unit/test_relay.py` has them relayed by these names."""
DEPLOYMENT = "deployment/edgetrain-operator"
WRITE_URL = "EDGETRAIN_OPERATOR_REMOTE_WRITE_URL"


@pytest.fixture(scope="module")
def prometheus(lab: Lab, operator: str) -> Iterator[Prometheus]:
    started = start_prometheus(lab, OPERATOR_NAMESPACE, RULES)
    set_env(lab, f"{WRITE_URL}={started.write_url}")
    yield started
    set_env(lab, f"{WRITE_URL}-")
    end_prometheus(lab)


@pytest.fixture(scope="module")
def job(lab: Lab, prometheus: Prometheus) -> Iterator[Bed]:
    lab.kubectl("create", "namespace", NAMESPACE)
    for node, link in LINKS.items():
        lab.link(node, link)
    bed = Bed(lab, list(LINKS), namespace=NAMESPACE)
    storage = {"checkpoint": {"claim": {"size": "64Mi"}}}
    strategy = {"checkpointEverySeconds": 10}
    bed.train("--samples", "2000", "--epochs", "100000", storage=storage, strategy=strategy)
    yield bed
    bed.end()
    lab.kubectl("delete", "namespace", NAMESPACE, "--wait=false")
    for node in LINKS:
        lab.link(node, "10gbit")


def set_env(lab: Lab, assignment: str) -> None:
    lab.kubectl(*HERE, "set", "env", DEPLOYMENT, assignment)
    lab.kubectl(*HERE, "rollout", "status", DEPLOYMENT, "--timeout=90s", timeout=100)


def has_data(samples: list[Sample]) -> bool:
    return any(not math.isnan(float(sample["value"][1])) for sample in samples)


def without_data(prometheus: Prometheus, job: Bed) -> list[str]:
    """Queries that show nothing, with their panels."""
    values = {"__rate_interval": "1m", "job_namespace": NAMESPACE, "job_name": job.job, "node": job.nodes[0]}
    return [
        f"{panel}: {expression}"
        for panel in panels()
        for expression in panel.expressions
        if not any(absent in expression for absent in (*SENSORS, *OF_ROUNDS))
        and not has_data(prometheus.query(filled(expression, values)))
    ]


def test_every_query_of_every_panel_has_data(prometheus: Prometheus, job: Bed) -> None:
    empty: list[str] = []

    def all_have() -> bool | None:
        empty[:] = without_data(prometheus, job)
        return not empty or None

    try:
        wait_for(all_have, 120, "every panel to have data", every=2.0)
    except TimeoutError:
        raise AssertionError("\n".join(["no data for:", *empty])) from None


def test_a_worker_has_at_most_sixty_series(prometheus: Prometheus, job: Bed) -> None:
    counted = prometheus.query(
        f'count by (node) ({{job="edgetrain-workers", job_name="{job.job}", node!=""}})'
    )
    series = {sample["metric"]["node"]: int(sample["value"][1]) for sample in counted}
    assert series.keys() == set(job.nodes)
    assert 30 < max(series.values()) <= MOST_SERIES, series


def test_what_it_says_is_what_the_job_does(prometheus: Prometheus, job: Bed) -> None:
    (step,) = prometheus.query(f'max(edgetrain_step{{job_name="{job.job}"}})')
    trained = max(step.step for step in job.journal.read())
    # A report may be two seconds old, and the scrape of it two more.
    assert 0 < float(step["value"][1]) <= trained
    aggregators = prometheus.query(f'edgetrain_worker_aggregator{{job_name="{job.job}"}} == 1')
    assert [sample["metric"]["node"] for sample in aggregators] == [job.aggregator()]


def test_alerts_are_evaluated_and_none_fires(prometheus: Prometheus, job: Bed) -> None:
    wait_for(
        lambda: all(r["health"] == "ok" for r in prometheus.rules()) or None, 30, "rules to be evaluated"
    )
    assert [rule["name"] for rule in prometheus.rules() if rule["state"] == "firing"] == []


def test_what_was_measured_in_the_dark_is_filled_in(prometheus: Prometheus, job: Bed) -> None:
    lost = next(node for node in job.nodes if node != job.aggregator())
    mine = f'edgetrain_profiler_node_cpu_ratio{{job_name="{job.job}", node="{lost}"}}'
    job.lab.partition(lost)
    try:
        wait_for(lambda: not prometheus.query(mine) or None, 120, f"{lost} to be told of no more", every=1.0)
        dark = time.time()
        # Its reports of this moment must be late ones when they arrive.
        wait_for(lambda: time.time() > dark + 40 or None, 60, "time to pass", every=1.0)
        assert prometheus.query(mine, dark) == []
    finally:
        job.lab.heal(lost)
    found = wait_for(lambda: prometheus.query(mine, dark), 120, "its backlog to be written", every=1.0)
    assert "instance" not in found[0]["metric"]
    job.wait_training(len(job.nodes))
