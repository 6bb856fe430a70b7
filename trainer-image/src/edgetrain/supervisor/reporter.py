"""Sends reports to the fleet API from a thread of its own: on change, and every so often."""

import logging
import threading
import time
from collections.abc import Callable
from pathlib import Path

from edgetrain.fleet_client import FleetClient, Gone, Unauthorized, Unavailable
from edgetrain.fleet_settings import FleetSettings
from edgetrain.report_buffer import ReportBuffer, ReportOutbox, Sequence
from edgetrain.supervisor.settings import Settings
from edgetrain_protocol.report import Report, TrainingPart

log = logging.getLogger(__name__)

EVERY_SECONDS = 2.0
TOGETHER_SECONDS = 0.05
"""Changes come in bursts: a broken formation, a lost member, a new formation."""


class Reporter(threading.Thread):
    """`tell` may be called from any thread; `gone` is called in this one when the pod is over."""

    def __init__(self, settings: Settings, fleet: FleetSettings, gone: Callable[[], None]) -> None:
        super().__init__(name="reports", daemon=True)
        self._settings, self._fleet, self._gone = settings, fleet, gone
        self._changed, self._ended = threading.Event(), threading.Event()
        self._part: TrainingPart | None = None
        self._every = EVERY_SECONDS
        self._answered = False
        self._delivered: TrainingPart | None = None

    def tell(self, part: TrainingPart, *, at_once: bool) -> None:
        """The newest part; sent now where something changed that others act on."""
        self._part = part
        if at_once:
            self._changed.set()

    def run(self) -> None:
        directory: Path = self._settings.state_dir
        sequence = Sequence(directory / "sequence")
        with FleetClient(self._fleet) as client:
            outbox = ReportOutbox(client, ReportBuffer(directory / "reports"))
            while not self._ended.is_set():
                if self._changed.wait(self._every):
                    self._ended.wait(TOGETHER_SECONDS)
                self._changed.clear()
                if part := self._part:
                    self._deliver(outbox, self._report(part, sequence.next()), part)

    def drain(self, seconds: float) -> bool:
        """Wait until the newest part was delivered, or time is up; says which."""
        self._changed.set()
        end = time.monotonic() + seconds
        while time.monotonic() < end:
            if self._delivered is self._part and self._answered:
                return True
            self._ended.wait(0.02)
        return False

    def close(self) -> None:
        self._ended.set()
        self._changed.set()

    def _deliver(self, outbox: ReportOutbox, report: Report, part: TrainingPart) -> None:
        try:
            answer = outbox.deliver(report)
        except Gone:
            self._ended.set()
            self._gone()
            return
        except (Unavailable, Unauthorized) as error:
            if self._answered:
                log.warning("reports are kept on disk: %s", error)
            self._answered = False
            return
        self._answered, self._delivered = True, part
        self._every = min(max(answer.report_every_seconds, 0.5), 60.0)

    def _report(self, part: TrainingPart, sequence: int) -> Report:
        own = self._settings
        return Report(
            worker=own.worker,
            node=own.node,
            pod=own.pod,
            pod_uid=own.pod_uid,
            address=own.address,
            control_port=own.control_port,
            state_port=own.state_port,
            probe_port=own.probe_port,
            rounds_port=own.rounds_port,
            sequence=sequence,
            at=time.time(),
            training=part,
        )
