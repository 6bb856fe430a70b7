"""From the protocol's rows to Prometheus' metrics."""

from collections.abc import Iterable, Iterator

from prometheus_client.core import Metric

from edgetrain_protocol.series import Family, Row


def metrics_of(rows: Iterable[Row]) -> Iterator[Metric]:
    """One metric for each family, with its rows."""
    found: dict[Family, Metric] = {}
    for row in rows:
        metric = found.setdefault(row.family, Metric(row.family.name, row.family.text, row.family.kind))
        metric.add_sample(row.name, dict(row.labels), row.value)
    yield from found.values()
