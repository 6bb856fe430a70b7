"""The profiler's /metrics; docs/metrics.md says what each is for.

The page for who scrapes on site: the trainer's metrics are on it too, and every series names its worker
as the operator names it that relays them.
"""

from collections.abc import Callable, Iterable, Iterator, Mapping

from prometheus_client import CollectorRegistry
from prometheus_client.core import CounterMetricFamily, GaugeMetricFamily, Metric
from prometheus_client.registry import Collector

from edgetrain.exposition import metrics_of
from edgetrain.profiler.reporter import Reporter
from edgetrain.report_buffer import ReportBuffer, ReportOutbox
from edgetrain_protocol.report import LinkMeasure
from edgetrain_protocol.series import rows_of_node

PREFIX = "edgetrain_profiler"
LINKS = 4
"""So many peers have series, those probed last: a large job must not make a small node's page long."""


class ProfilerCollector(Collector):
    """Reads what the parts hold when it is asked; keeps nothing itself."""

    def __init__(self, reporter: Reporter, buffer: ReportBuffer, outbox: ReportOutbox) -> None:
        self._reporter, self._buffer, self._outbox = reporter, buffer, outbox

    def collect(self) -> Iterator[Metric]:
        yield from metrics_of(rows_of_node(self._reporter.node_part(), {}))
        yield from _link_metrics(self._reporter.links)
        yield from self._traffic()

    def _traffic(self) -> Iterator[Metric]:
        counts = self._reporter.counts
        probes = _counter_family("probes", "Probes that this node was asked to make.", "result")
        for result in ("measured", "failed"):
            probes.add_metric([result], counts[f"probes {result}"])
        yield probes
        yield _counter(
            "probe_bytes", "Bytes of probes, in the direction that took more.", counts["probe bytes"]
        )
        reports = _counter_family("reports", "Reports, by whether they were taken at once.", "result")
        for result in ("sent", "kept"):
            reports.add_metric([result], counts[f"reports {result}"])
        yield reports
        yield _counter("reports_refused", "Reports called nonsense by the fleet API.", self._outbox.refusals)
        yield _counter("reports_dropped", "Reports lost for want of space.", self._buffer.dropped)
        yield GaugeMetricFamily(
            f"{PREFIX}_reports_buffered", "Reports on disk that wait to be sent.", value=len(self._buffer)
        )


class Labelled(Collector):
    """What others collect, with these labels on every sample."""

    def __init__(self, labels: Mapping[str, str], sources: Iterable[Callable[[], Iterable[Metric]]]) -> None:
        self._labels, self._sources = labels, tuple(sources)

    def collect(self) -> Iterator[Metric]:
        for source in self._sources:
            for metric in source():
                metric.samples = [s._replace(labels={**self._labels, **s.labels}) for s in metric.samples]
                yield metric


def registry_of(collector: Collector) -> CollectorRegistry:
    registry = CollectorRegistry()
    registry.register(collector)
    return registry


def _link_metrics(links: Mapping[str, LinkMeasure]) -> Iterator[Metric]:
    rate = GaugeMetricFamily(
        f"{PREFIX}_link_bytes_per_second", "Measured with a peer, the slower direction.", labels=["peer"]
    )
    delay = GaugeMetricFamily(
        f"{PREFIX}_link_round_trip_seconds", "Least round trip of the last probe.", labels=["peer"]
    )
    at = GaugeMetricFamily(
        f"{PREFIX}_link_probed_timestamp_seconds", "Unix time of the last probe.", labels=["peer"]
    )
    newest = sorted(dict(links).items(), key=lambda item: item[1].at, reverse=True)
    for peer, link in newest[:LINKS]:
        rate.add_metric([peer], link.bits_per_second / 8)
        delay.add_metric([peer], link.round_trip_seconds or 0.0)
        at.add_metric([peer], link.at)
    yield from (rate, delay, at)


def _counter(name: str, text: str, value: float) -> CounterMetricFamily:
    return CounterMetricFamily(f"{PREFIX}_{name}", text, value=value)


def _counter_family(name: str, text: str, label: str) -> CounterMetricFamily:
    return CounterMetricFamily(f"{PREFIX}_{name}", text, labels=[label])
