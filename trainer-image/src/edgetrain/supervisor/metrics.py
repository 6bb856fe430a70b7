"""The trainer container's metrics, on localhost: the profiler reads them, and people by port-forward."""

from prometheus_client import CollectorRegistry, Counter, Gauge, Histogram, start_http_server

from edgetrain.local import Progress
from edgetrain_protocol.report import TrainingPart

RECOVERY_BUCKETS = (0.05, 0.1, 0.2, 0.3, 0.6, 1.0, 1.5, 3.0, 10.0, 60.0)


class Metrics:
    """All of a trainer's series; a few dozen, whatever the group's size."""

    def __init__(self) -> None:
        self.registry = CollectorRegistry()
        self._steps = self._counter("steps", "Committed optimiser steps.")
        self._samples = self._counter("samples", "Samples in committed steps, over all members.")
        self._phases = Counter(
            "edgetrain_phase_seconds",
            "Time of the trainer by phase of a step.",
            ["phase"],
            registry=self.registry,
        )
        self._loss = self._gauge("loss", "Mean loss of the last committed step.")
        self._step_seconds = self._gauge("step_seconds", "Duration of the last step.")
        self._world = self._gauge("world_size", "Members of the formation that the trainer is in.")
        self._formation = self._gauge("formation_number", "Number of that formation.")
        self._share = self._gauge("share_ratio", "Part of the global batch that this member gets.")
        self._reduce = self._gauge("reduce_bytes", "Bytes of one reduction.")
        self._returned = self._gauge("samples_returned", "Samples that lost members gave back.")
        self.formations = self._counter("formations", "Formations entered.")
        self.trainer_starts = self._counter("trainer_starts", "Starts of the program.")
        self.recovery = Histogram(
            "edgetrain_recovery_seconds",
            "From a broken formation to the next one built.",
            buckets=RECOVERY_BUCKETS,
            registry=self.registry,
        )
        self._last = Progress(None, "", 0)

    def serve(self, port: int) -> None:
        """/metrics on localhost.

        Raises:
            OSError: the port is taken.
        """
        start_http_server(port, "127.0.0.1", self.registry)

    def on_progress(self, progress: Progress) -> None:
        new = progress.step - self._last.step
        if new > 0:
            self._steps.inc(new)
            self._samples.inc(max(progress.samples - self._last.samples, 0))
            for phase, seconds in progress.phase_seconds.items():
                self._phases.labels(phase).inc(max(seconds, 0.0))
        if progress.loss is not None:
            self._loss.set(progress.loss)
        self._step_seconds.set(progress.step_seconds)
        self._share.set(progress.share)
        self._reduce.set(progress.reduce_bytes)
        self._returned.set(progress.samples_returned)
        self._last = progress

    def on_part(self, part: TrainingPart) -> None:
        self._world.set(len(part.formation.members) if part.formation else 0)
        self._formation.set(part.formation.number if part.formation else 0)

    def _counter(self, name: str, text: str) -> Counter:
        return Counter(f"edgetrain_{name}", text, registry=self.registry)

    def _gauge(self, name: str, text: str) -> Gauge:
        return Gauge(f"edgetrain_{name}", text, registry=self.registry)
