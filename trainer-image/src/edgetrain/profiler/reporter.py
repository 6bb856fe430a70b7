"""Reports what was measured, and makes the probes that the answers ask for."""

import logging
import threading
import time
from collections import Counter

from edgetrain.fleet_client import FleetError, Gone
from edgetrain.profiler import node
from edgetrain.profiler.probe_wire import ProbeError
from edgetrain.profiler.prober import Prober
from edgetrain.profiler.sampler import Sampler
from edgetrain.profiler.settings import Settings
from edgetrain.report_buffer import ReportOutbox, Sequence
from edgetrain_protocol.report import LinkMeasure, NodePart, ProbeOrder, Report, ReportAnswer

log = logging.getLogger(__name__)

EVERY_SECONDS = 5.0
"""Unless the fleet API asks for something else, because it wants to order a probe."""
SHORTEST_SECONDS, LONGEST_SECONDS = 0.5, 60.0


class Reporter:
    """One thread's work: report, probe where asked to, report what came of it at once."""

    def __init__(self, settings: Settings, sampler: Sampler, prober: Prober, outbox: ReportOutbox) -> None:
        self._settings = settings
        self._sampler = sampler
        self._prober = prober
        self._outbox = outbox
        self._sequence = Sequence(settings.state_dir / "sequence")
        self._wake = threading.Event()
        self._finishing = False
        self.drained = threading.Event()
        """All that could be handed over has been."""
        self.links: dict[str, LinkMeasure] = {}
        """The newest measure with each peer."""
        self.counts: Counter[str] = Counter()

    def run(self) -> None:
        """Until this pod is over or `finish` was called."""
        try:
            while not self._finishing:
                self._turn()
            self._outbox.deliver(self._report())
        except Gone as gone:
            log.info("reporting ends: %s", gone)
        except FleetError as error:
            log.warning("reports are left behind: %s", error)
        finally:
            self.drained.set()

    def finish(self) -> None:
        """Hand over what is left and end; from any thread."""
        self._finishing = True
        self._wake.set()

    def _turn(self) -> None:
        answer = self._deliver(self._report())
        while answer and answer.probe and not self._finishing:
            answer = self._deliver(self._measured(answer.probe))
        every = answer.report_every_seconds if answer else EVERY_SECONDS
        self._wake.wait(min(max(every, SHORTEST_SECONDS), LONGEST_SECONDS))

    def _deliver(self, report: Report) -> ReportAnswer | None:
        try:
            answer = self._outbox.deliver(report)
        except Gone:
            raise
        except FleetError as error:
            self._outcome("kept", error)
            return None
        self._outcome("sent", None)
        return answer

    def _measured(self, order: ProbeOrder) -> Report:
        """Make the probe; the report says what came of it, also where that is nothing."""
        try:
            link = self._prober.probe(order)
        except (OSError, ProbeError) as error:
            self.counts["probes failed"] += 1
            log.warning("no measure of the link to %s: %s", order.peer, error)
            return self._report(failed=order.peer)
        log.info(
            "%.1f Mbit/s with %s and %d more", link.bits_per_second / 1e6, order.peer, len(order.helpers)
        )
        self.counts["probes measured"] += 1
        self.counts["probe bytes"] += link.bytes
        self.links[order.peer] = link
        self._sampler.probed()
        return self._report(link)

    def node_part(self, link: LinkMeasure | None = None, *, failed: str | None = None) -> NodePart:
        """The node as last seen, with what came of a probe; from any thread."""
        seen = self._sampler.snapshot
        return NodePart(
            links=(link,) if link else (),
            probe_failed=failed,
            cpu_ratio=seen.cpu_ratio,
            cpu_cores=node.cores(),
            memory_bytes=seen.memory.total,
            memory_available_bytes=seen.memory.available,
            temperature_celsius=seen.temperature,
            battery_ratio=seen.battery,
            received_bytes=seen.carried.received,
            sent_bytes=seen.carried.sent,
            bandwidth_alarm=self._sampler.alarm,
        )

    def _report(self, link: LinkMeasure | None = None, *, failed: str | None = None) -> Report:
        settings = self._settings
        return Report(
            worker=settings.fleet.worker,
            node=settings.node,
            pod=settings.pod,
            pod_uid=settings.fleet.pod_uid,
            address=settings.address,
            control_port=settings.control_port,
            state_port=settings.state_port,
            rounds_port=settings.rounds_port,
            probe_port=settings.probe_port,
            sequence=self._sequence.next(),
            at=time.time(),
            measured=self.node_part(link, failed=failed),
        )

    def _outcome(self, outcome: str, error: FleetError | None) -> None:
        """Count; say so in the log when it changes, not every five seconds of an outage."""
        self.counts[f"reports {outcome}"] += 1
        if error and not self.counts["outage"]:
            log.warning("reports are kept on disk: %s", error)
        self.counts["outage"] = int(error is not None)
