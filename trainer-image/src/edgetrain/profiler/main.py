"""Puts the profiler's parts together and runs until the pod ends."""

import logging
import os
import signal
import sys
import threading
import time

from prometheus_client import CollectorRegistry, disable_created_metrics

from edgetrain.fleet_client import FleetClient
from edgetrain.metrics_page import serve_metrics
from edgetrain.profiler.counters import interface_of
from edgetrain.profiler.metrics import Labelled, ProfilerCollector, registry_of
from edgetrain.profiler.probe_server import ProbeServer
from edgetrain.profiler.prober import Prober
from edgetrain.profiler.reporter import Reporter
from edgetrain.profiler.sampler import Sampler
from edgetrain.profiler.settings import Settings
from edgetrain.profiler.trainer import metrics
from edgetrain.report_buffer import ReportBuffer, ReportOutbox
from edgetrain.rundir import DRAINED_FILE, FINISHING_FILE
from edgetrain_protocol.series import job_labels

LOOK_SECONDS = 0.2
DRAIN_SECONDS = 10.0

log = logging.getLogger("edgetrain.profiler")


def main() -> None:
    # A series beside each counter that nobody asks for.
    disable_created_metrics()  # type: ignore[no-untyped-call]
    logging.basicConfig(format="%(asctime)s %(levelname)s %(message)s", level=logging.INFO)
    try:
        settings = Settings.from_env()
    except ValueError as error:
        sys.exit(f"profiler: {error}")
    stop = threading.Event()
    for number in (signal.SIGTERM, signal.SIGINT):
        signal.signal(number, lambda *_: stop.set())
    reporter = _start(settings, stop)
    _watch_for_the_end(settings, reporter, stop)
    log.info("profiler ends")
    # Daemon threads may be inside a probe; nothing of theirs is worth waiting for.
    logging.shutdown()
    os._exit(0)


def _start(settings: Settings, stop: threading.Event) -> Reporter:
    turn = threading.Lock()
    interface = interface_of(settings.address)
    buffer = ReportBuffer(settings.state_dir / "reports")
    outbox = ReportOutbox(FleetClient(settings.fleet), buffer)
    sampler = Sampler(settings, interface, turn)
    reporter = Reporter(settings, sampler, Prober(settings.credentials, turn, interface), outbox)
    ProbeServer(settings.credentials, turn, interface, port=settings.probe_port)
    serve_metrics(_registry(settings, reporter, buffer, outbox), settings.metrics_port)
    threading.Thread(target=sampler.run, args=(stop,), name="sampler", daemon=True).start()
    threading.Thread(target=reporter.run, name="reporter", daemon=True).start()
    return reporter


def _watch_for_the_end(settings: Settings, reporter: Reporter, stop: threading.Event) -> None:
    """Until told to stop. When training is over, hand over what is left, at most ten seconds long."""
    finishing, drained = settings.run_dir / FINISHING_FILE, settings.run_dir / DRAINED_FILE
    drained.unlink(missing_ok=True)
    gives_up = None
    while not stop.wait(LOOK_SECONDS):
        if gives_up is None and finishing.exists():
            gives_up = time.monotonic() + DRAIN_SECONDS
            reporter.finish()
        if gives_up is not None and (reporter.drained.is_set() or time.monotonic() > gives_up):
            drained.touch()
            stop.wait()


def _registry(
    settings: Settings, reporter: Reporter, buffer: ReportBuffer, outbox: ReportOutbox
) -> CollectorRegistry:
    namespace, _, name = settings.job.partition("/")
    labels = {**job_labels(namespace, name), "node": settings.node}
    own = ProfilerCollector(reporter, buffer, outbox)
    return registry_of(Labelled(labels, [own.collect, lambda: metrics(settings.trainer_metrics_port)]))
