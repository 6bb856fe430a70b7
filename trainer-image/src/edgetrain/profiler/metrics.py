"""The profiler's /metrics; docs/metrics.md says what each is for."""

from collections.abc import Iterator

from prometheus_client import CollectorRegistry
from prometheus_client.core import CounterMetricFamily, GaugeMetricFamily, Metric
from prometheus_client.registry import Collector

from edgetrain.profiler import node
from edgetrain.profiler.reporter import Reporter
from edgetrain.profiler.sampler import Sampler, Snapshot
from edgetrain.report_buffer import Outbox, ReportBuffer
from edgetrain_protocol.report import LinkMeasure

PREFIX = "edgetrain_profiler"


class ProfilerCollector(Collector):
    """Reads what the parts hold when it is asked; keeps nothing itself."""

    def __init__(self, sampler: Sampler, reporter: Reporter, buffer: ReportBuffer, outbox: Outbox) -> None:
        self._sampler, self._reporter, self._buffer, self._outbox = sampler, reporter, buffer, outbox

    def collect(self) -> Iterator[Metric]:
        yield from _node_metrics(self._sampler.snapshot)
        yield from _step_metrics(self._sampler.snapshot)
        yield from _link_metrics(dict(self._reporter.links))
        yield _gauge(
            "bandwidth_alarm", "1 while the exchanges contradict the last probe, else 0.", self._sampler.alarm
        )
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
        yield _gauge("reports_buffered", "Reports on disk that wait to be sent.", len(self._buffer))


def registry_of(collector: Collector) -> CollectorRegistry:
    registry = CollectorRegistry()
    registry.register(collector)
    return registry


def _node_metrics(seen: Snapshot) -> Iterator[Metric]:
    yield _gauge("node_cpu_ratio", "Cores in use over cores of the node.", seen.cpu_ratio)
    yield _gauge("node_cpu_cores", "Cores of the node.", node.cores())
    yield _gauge("node_memory_bytes", "Memory of the node.", seen.memory.total)
    yield _gauge("node_memory_available_bytes", "Memory not in use on the node.", seen.memory.available)
    if seen.temperature is not None:
        yield _gauge("node_temperature_celsius", "Of the node's hottest sensor.", seen.temperature)
    if seen.battery is not None:
        yield _gauge("node_battery_ratio", "Charge of the node's emptiest battery.", seen.battery)
    yield _counter("interface_receive_bytes", "Received by the pod's interface.", seen.carried.received)
    yield _counter("interface_transmit_bytes", "Sent by the pod's interface.", seen.carried.sent)


def _step_metrics(seen: Snapshot) -> Iterator[Metric]:
    if seen.steps.step is not None:
        yield _gauge("step_seconds", "The trainer's newest step.", seen.steps.step)
    phases = GaugeMetricFamily(
        f"{PREFIX}_phase_seconds", "The trainer's newest step, by phase.", labels=["phase"]
    )
    for phase, seconds in sorted(seen.steps.phases.items()):
        phases.add_metric([phase], seconds)
    yield phases


def _link_metrics(links: dict[str, LinkMeasure]) -> Iterator[Metric]:
    rate = GaugeMetricFamily(
        f"{PREFIX}_link_bytes_per_second", "Measured with a peer, the slower direction.", labels=["peer"]
    )
    delay = GaugeMetricFamily(
        f"{PREFIX}_link_round_trip_seconds", "Least round trip of the last probe.", labels=["peer"]
    )
    at = GaugeMetricFamily(
        f"{PREFIX}_link_probed_timestamp_seconds", "Unix time of the last probe.", labels=["peer"]
    )
    for peer, link in links.items():
        rate.add_metric([peer], link.bits_per_second / 8)
        delay.add_metric([peer], link.round_trip_seconds or 0.0)
        at.add_metric([peer], link.at)
    yield from (rate, delay, at)


def _gauge(name: str, text: str, value: float) -> GaugeMetricFamily:
    return GaugeMetricFamily(f"{PREFIX}_{name}", text, value=value)


def _counter(name: str, text: str, value: float) -> CounterMetricFamily:
    return CounterMetricFamily(f"{PREFIX}_{name}", text, value=value)


def _counter_family(name: str, text: str, label: str) -> CounterMetricFamily:
    return CounterMetricFamily(f"{PREFIX}_{name}", text, labels=[label])
