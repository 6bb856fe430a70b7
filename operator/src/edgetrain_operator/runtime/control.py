"""What a leading replica runs: the queue's workers, the sweep, and the watches."""

import asyncio
import logging
import time
from collections.abc import Coroutine
from contextlib import suppress
from typing import Any

from edgetrain_operator.core.model import Defaults
from edgetrain_operator.fleet_state import FleetState
from edgetrain_operator.kube.client import Kube
from edgetrain_operator.kube.errors import Conflict, KubeError, NotFound
from edgetrain_operator.runtime.backfill import Backfill
from edgetrain_operator.runtime.hints import Hints
from edgetrain_operator.runtime.memory import Key, Memory
from edgetrain_operator.runtime.metrics import Metrics
from edgetrain_operator.runtime.node_table import NodeTable
from edgetrain_operator.runtime.queue import KeyedQueue, work
from edgetrain_operator.runtime.reconcile import Reconciler
from edgetrain_operator.runtime.relay import Relay
from edgetrain_operator.runtime.remote_write import RemoteWriter
from edgetrain_operator.runtime.watch import watch
from edgetrain_operator.settings import Settings
from edgetrain_protocol.backoff import doubled

log = logging.getLogger(__name__)


class Control:
    """The reconciling half of the operator. One at a time; a second one does no harm, but no good either."""

    def __init__(self, settings: Settings, kube: Kube, fleet: FleetState, metrics: Metrics) -> None:
        self._settings, self._kube, self._fleet, self._metrics = settings, kube, fleet, metrics
        self.queue: KeyedQueue[Key] = KeyedQueue()
        self.nodes = NodeTable()
        defaults = Defaults(
            settings.trainer_image,
            settings.fleet_address,
            settings.pull_policy,
            settings.allowed,
            settings.network_policy,
            settings.trainer_resources,
            settings.trainer_memory_percent,
            settings.feature_gates,
            settings.trainer_env,
            settings.shared_queues,
            settings.kueue,
        )
        self._reconciler = Reconciler(kube, self.nodes, fleet, defaults, metrics)
        self.relay = Relay(fleet, self._reconciler.memory, self.nodes)
        self._backfill = _backfill(settings, self._reconciler.memory, metrics)
        self.hints = Hints(self.queue, self.nodes, self._reconciler, fleet, settings.namespaces)

    async def run(self, stop: asyncio.Event) -> None:
        """Run until `stop` is set.

        Raises:
            Exception: a watch failed for good, or something is wrong with the code. The process shall end:
                another takes over, and starting again is cheap.
        """
        self._reconciler.begin()
        self.hints.listen()
        if self._backfill:
            self._backfill.listen(self._fleet)
        await self._first_sweep()
        self._metrics.queue_depth.set_function(lambda: self.queue.depth)
        self._metrics.queue_age.set_function(lambda: self.queue.oldest_seconds)
        self._metrics.jobs.set_function(lambda: len(self._reconciler.memory.jobs()))
        self._metrics.jobs_queued.set_function(lambda: self._reconciler.queues.waiting)
        self._metrics.nodes.set_function(lambda: len(self.nodes.nodes))
        parts: list[Coroutine[Any, Any, object]] = [
            self._sweep_for_ever(),
            watch(self.hints, self._settings.namespaces, self._settings.kueue),
            *([self._backfill.run()] if self._backfill else []),
            stop.wait(),
            *(work(self.queue, self._handle) for _ in range(self._settings.workers)),
        ]
        await _first_to_end([asyncio.create_task(part) for part in parts])

    async def _handle(self, key: Key) -> float | None:
        """Reconcile, and say when the key comes again. Whatever happens stays with this key."""
        began = time.monotonic()
        result = "error"
        try:
            again = await self._reconciler.reconcile(key)
            self.queue.succeeded(key)
            result = "ok"
            return again
        except Conflict:
            result = "conflict"  # Somebody wrote first: no error, and the more reason to look again soon.
        except NotFound as error:
            log.info("%s/%s: gone meanwhile: %s", *key, error)
        except KubeError as error:
            log.warning("%s/%s: %s", *key, error)
            return max(self.queue.retry_delay(key), error.retry_after or 0.0)
        except Exception:
            log.exception("%s/%s: this is a defect; the job is tried again", *key)
        finally:
            self._metrics.reconciles.labels(result).inc()
            self._metrics.reconcile_seconds.observe(time.monotonic() - began)
        return self.queue.retry_delay(key)

    async def _first_sweep(self) -> None:
        """Before the first reconcile: with an empty table, no node would match."""
        for attempt in range(100):
            try:
                return await self.hints.sweep(self._kube)
            except KubeError as error:
                log.warning("the first list failed: %s", error)
                await asyncio.sleep(doubled(0.2, attempt, 5.0))

    async def _sweep_for_ever(self) -> None:
        while True:
            await asyncio.sleep(self._settings.resync_seconds)
            try:
                await self.hints.sweep(self._kube)
            except KubeError as error:
                log.warning("a sweep failed, the next is in %g s: %s", self._settings.resync_seconds, error)


def _backfill(settings: Settings, memory: Memory, metrics: Metrics) -> Backfill | None:
    if not settings.remote_write_url:
        return None
    writer = RemoteWriter(settings.remote_write_url, settings.remote_write_token_file)
    return Backfill(writer, memory.key_of, metrics.backfill_reports, metrics.backfill_waiting)


async def _first_to_end(tasks: list[asyncio.Task[Any]]) -> None:
    """Wait until one ends; end the others; raise what made the first end."""
    done, others = await asyncio.wait(tasks, return_when=asyncio.FIRST_COMPLETED)
    for task in others:
        task.cancel()
        with suppress(asyncio.CancelledError):
            await task
    for task in done:
        task.result()
