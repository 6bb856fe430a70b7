"""/metrics/workers: what jobs are and their workers report, for a Prometheus that cannot reach the edge.

A page of its own, since it grows with jobs and workers: who scrapes it chooses how often. Only the
replica that leads hears reports, so any other's page is empty.
"""

import time
from collections.abc import Callable, Iterable, Iterator

from prometheus_client.core import Metric
from prometheus_client.exposition import generate_latest
from prometheus_client.registry import Collector, CollectorRegistry

from edgetrain_operator.core.model import NodeView
from edgetrain_operator.core.series import JobSeen, rows_of_job, rows_of_nodes
from edgetrain_operator.fleet_state import FleetState
from edgetrain_operator.runtime.memory import JobMemory, Memory
from edgetrain_operator.runtime.node_table import NodeTable
from edgetrain_protocol.series import Family, Row


class Relay:
    def __init__(
        self, fleet: FleetState, memory: Memory, nodes: NodeTable, clock: Callable[[], float] = time.time
    ) -> None:
        self._fleet, self._memory, self._nodes, self._clock = fleet, memory, nodes, clock

    def look(self) -> Callable[[], bytes]:
        """Take a snapshot, in the reconcile's loop; the result draws the page, in any thread."""
        jobs = [self._seen(held) for held in self._memory.held()]
        nodes, now = list(self._nodes.nodes.values()), self._clock()
        return lambda: page(jobs, nodes, now)

    def _seen(self, held: JobMemory) -> JobSeen:
        job = held.job
        return JobSeen(
            namespace=job.namespace,
            name=job.name,
            min_workers=job.spec.nodes.min,
            checkpoint_every_seconds=job.spec.strategy.checkpoint_every_seconds,
            status=held.decision.status if held.decision else job.status,
            plan=held.decision.stored.plan if held.decision else None,
            reports=self._fleet.reports(job.uid),
            rates=self._fleet.rates(job.uid),
        )


def page(jobs: Iterable[JobSeen], nodes: Iterable[NodeView], now: float) -> bytes:
    """In Prometheus' text format; `now` is Unix time, seconds."""
    rows = [row for job in jobs for row in rows_of_job(job, now)]
    registry = CollectorRegistry()
    registry.register(_Rows([*rows, *rows_of_nodes(nodes)]))
    return generate_latest(registry)


class _Rows(Collector):
    def __init__(self, rows: Iterable[Row]) -> None:
        self._rows = rows

    def collect(self) -> Iterator[Metric]:
        found: dict[Family, Metric] = {}
        for row in self._rows:
            metric = found.setdefault(row.family, Metric(row.family.name, row.family.text, row.family.kind))
            metric.add_sample(row.name, dict(row.labels), row.value)
        yield from found.values()
