"""The trainer container's metrics, on localhost: the profiler shows them on its page with its own."""

from collections.abc import Iterator

from prometheus_client import CollectorRegistry, Counter
from prometheus_client.core import Metric
from prometheus_client.registry import Collector

from edgetrain.exposition import metrics_of
from edgetrain.metrics_page import serve_metrics
from edgetrain_protocol.report import TrainingPart
from edgetrain_protocol.series import rows_of_program, rows_of_training


class Metrics(Collector):
    """The newest report's rows, and what reports do not say; a few dozen series in any group."""

    def __init__(self) -> None:
        self.registry = CollectorRegistry()
        self.formations = Counter("edgetrain_formations", "Formations entered.", registry=self.registry)
        self.trainer_starts = Counter(
            "edgetrain_trainer_starts", "Starts of the program.", registry=self.registry
        )
        self._part: TrainingPart | None = None
        self.registry.register(self)

    def serve(self, port: int) -> None:
        """/metrics on localhost.

        Raises:
            OSError: the port is taken.
        """
        serve_metrics(self.registry, port, "127.0.0.1")

    def on_part(self, part: TrainingPart) -> None:
        self._part = part

    def collect(self) -> Iterator[Metric]:
        if self._part:
            yield from metrics_of([*rows_of_training(self._part, {}), *rows_of_program(self._part, {})])
