"""The fleet API's own numbers, read from its parts when they are asked for."""

from collections.abc import Iterator

from prometheus_client.core import CounterMetricFamily, GaugeMetricFamily, Metric
from prometheus_client.registry import Collector

from edgetrain_operator.fleet.fleet import Fleet

PREFIX = "edgetrain_operator_fleet"


class FleetCollector(Collector):
    def __init__(self, fleet: Fleet) -> None:
        self._fleet = fleet

    def collect(self) -> Iterator[Metric]:
        reports = CounterMetricFamily(f"{PREFIX}_reports", "Reports received.", labels=["result"])
        for result in ("taken", "refused"):
            reports.add_metric([result], self._fleet.counts[result])
        yield reports
        probes = CounterMetricFamily(f"{PREFIX}_probes", "Probes of links that were ordered.")
        probes.add_metric([], self._fleet.counts["probes"])
        yield probes
        workers = sum(len(self._fleet.reports(uid)) for uid in self._fleet.known_jobs())
        yield GaugeMetricFamily(f"{PREFIX}_workers", "Workers whose reports are held.", value=workers)
        pollers = self._fleet.board.pollers
        yield GaugeMetricFamily(f"{PREFIX}_pollers", "Workers that wait for a plan.", value=pollers)
