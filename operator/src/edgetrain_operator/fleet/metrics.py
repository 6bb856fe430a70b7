"""The fleet API's own numbers, read from its parts when they are asked for."""

from collections.abc import Callable, Iterator, Mapping

from prometheus_client.core import CounterMetricFamily, GaugeMetricFamily, Metric
from prometheus_client.registry import Collector

from edgetrain_operator.fleet.door import Door
from edgetrain_operator.fleet.fleet import Fleet
from edgetrain_operator.fleet.requests import PREFIX, Requests


class FleetCollector(Collector):
    def __init__(
        self, fleet: Fleet, requests: Requests, door: Door, certificates: Callable[[], Mapping[str, float]]
    ) -> None:
        """`certificates`: Unix time at which each ends, by what it is for."""
        self._fleet, self._requests, self._door = fleet, requests, door
        self._certificates = certificates

    def collect(self) -> Iterator[Metric]:
        yield from self._requests.collect()
        yield self._expiry()
        yield from self._held()
        yield from self._connected()

    def _expiry(self) -> Metric:
        ends = GaugeMetricFamily(
            "edgetrain_operator_certificate_expiry_timestamp_seconds",
            "Unix time at which a certificate of the fleet API ends.",
            labels=["certificate"],
        )
        for certificate, at in self._certificates().items():
            ends.add_metric([certificate], at)
        return ends

    def _held(self) -> Iterator[Metric]:
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

    def _connected(self) -> Iterator[Metric]:
        connections = GaugeMetricFamily(
            f"{PREFIX}_connections", "Open connections, by whether a token was shown.", labels=["kind"]
        )
        for kind, count in self._door.connected.items():
            connections.add_metric([kind], count)
        yield connections
        ended = CounterMetricFamily(
            f"{PREFIX}_connections_ended", "Connections ended for want of room, or of a token in time."
        )
        ended.add_metric([], self._door.ended)
        yield ended
