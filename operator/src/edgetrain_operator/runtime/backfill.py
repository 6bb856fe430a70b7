"""Late reports, written to where metrics are stored under the times at which they were made.

A scrape tells of now; what a worker measured while it was cut off comes when it is back, and would
otherwise be a gap in every graph. Only the leader hears reports, so only the leader writes.
"""

import asyncio
import logging
import time
from collections import deque
from collections.abc import Callable, Iterable, Mapping, Sequence
from typing import NamedTuple

from prometheus_client import Counter, Gauge

from edgetrain_operator.fleet_state import FleetState
from edgetrain_operator.runtime.memory import Key
from edgetrain_operator.runtime.remote_write import Refused, RemoteWriter, Series, Unavailable
from edgetrain_protocol.report import Report
from edgetrain_protocol.series import job_labels, rows_of_report

LATE_SECONDS = 30.0
"""Younger reports are in the next scrape, or as good as."""
EVERY_SECONDS = 15.0
"""Of each part of a worker's report one is written so often: a scrape would have seen no more."""
MOST_WAITING = 2_000
"""Reports, some 4 KB each: an endpoint that is away must not cost the operator its memory."""
AT_ONCE = 200
UNKNOWN_SECONDS = 120.0
"""After a start the backlog comes before the first reconciles: so long a job may be without a name."""
FIRST_RETRY_SECONDS, LONGEST_RETRY_SECONDS = 1.0, 60.0
REMEMBERED = 20_000

log = logging.getLogger(__name__)


class _Late(NamedTuple):
    job_uid: str
    report: Report
    received: float
    """Monotonic."""


class Backfill:
    """`listen` and `run` belong to one loop; reports come from the fleet API's thread."""

    def __init__(
        self, writer: RemoteWriter, key_of: Callable[[str], Key | None], reports: Counter, waiting: Gauge
    ) -> None:
        """
        Args:
            key_of: namespace and name of the job with this uid; None while it is not known.
            reports: counts by result: written, refused, dropped.
        """
        self._writer, self._key_of, self._reports = writer, key_of, reports
        self._late: deque[_Late] = deque()
        self._written: dict[tuple[str, str], float] = {}
        self._came = asyncio.Event()
        waiting.set_function(lambda: len(self._late))

    def listen(self, fleet: FleetState) -> None:
        loop = asyncio.get_running_loop()

        def heard(job_uid: str, report: Report) -> None:
            if time.time() - report.at > LATE_SECONDS:
                loop.call_soon_threadsafe(self.add, job_uid, report)

        fleet.on_report(heard)

    def add(self, job_uid: str, report: Report) -> None:
        """Keep a late report, unless its worker has one of about the same time; the oldest goes for it."""
        if not self._due(report):
            return
        if len(self._late) >= MOST_WAITING:
            self._late.popleft()
            self._reports.labels("dropped").inc()
        self._late.append(_Late(job_uid, report, time.monotonic()))
        self._came.set()

    async def run(self) -> None:
        """For ever."""
        try:
            while True:
                await self._came.wait()
                self._came.clear()
                await self._empty()
        finally:
            await self._writer.close()

    async def _empty(self) -> None:
        delay = FIRST_RETRY_SECONDS
        while self._late:
            if await self._turn():
                delay = FIRST_RETRY_SECONDS
            else:
                await asyncio.sleep(delay)
                delay = min(2 * delay, LONGEST_RETRY_SECONDS)

    async def _turn(self) -> bool:
        """Write what can be written; False where a pause is due before the next try."""
        batch = [self._late.popleft() for _ in range(min(len(self._late), AT_ONCE))]
        names = {uid: key for uid in {late.job_uid for late in batch} if (key := self._key_of(uid))}
        unknown = [late for late in batch if late.job_uid not in names]
        kept = [late for late in unknown if time.monotonic() - late.received < UNKNOWN_SECONDS]
        written = await self._write([late for late in batch if late.job_uid in names], names)
        if not written:
            kept = batch
        else:
            self._reports.labels("dropped").inc(len(unknown) - len(kept))
        self._late.extendleft(reversed(kept))
        return not kept

    async def _write(self, batch: Sequence[_Late], names: Mapping[str, Key]) -> bool:
        try:
            if batch:
                await self._writer.write(series_of([(names[late.job_uid], late.report) for late in batch]))
        except Unavailable as error:
            log.warning("late reports wait: %s", error)
            return False
        except Refused as error:
            log.warning("%d late reports were refused: %s", len(batch), error)
            self._reports.labels("refused").inc(len(batch))
            return True
        self._reports.labels("written").inc(len(batch))
        return True

    def _due(self, report: Report) -> bool:
        key = (report.pod_uid, "training" if report.training else "measured")
        if abs(report.at - self._written.get(key, float("-inf"))) < EVERY_SECONDS:
            return False
        self._written[key] = report.at
        if len(self._written) > REMEMBERED:
            del self._written[next(iter(self._written))]
        return True


def series_of(reports: Iterable[tuple[Key, Report]]) -> list[Series]:
    """Reports with their jobs' namespaces and names, by series, each in the order of time."""
    found: dict[tuple[tuple[str, str], ...], list[tuple[int, float]]] = {}
    for (namespace, name), report in reports:
        labels = {**job_labels(namespace, name), "node": report.node}
        for row in rows_of_report(report, labels):
            key = (("__name__", row.name), *row.labels.items())
            found.setdefault(key, []).append((round(report.at * 1000), float(row.value)))
    return [Series(dict(key), sorted(samples)) for key, samples in found.items()]
