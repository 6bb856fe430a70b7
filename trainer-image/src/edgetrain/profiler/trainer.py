"""What the trainer says of its steps: the heartbeat file, or where there is none its /metrics, which do not
tell one step's phases."""

import http.client
from dataclasses import dataclass, field
from pathlib import Path

from prometheus_client.parser import text_string_to_metric_families

from edgetrain.rundir import read_heartbeat

FRESH_SECONDS = 10.0
PATIENCE_SECONDS = 0.5
LARGEST_BYTES = 1 << 20
STEP_METRIC = "edgetrain_step_seconds"


@dataclass(frozen=True)
class Steps:
    """Seconds of the newest step, whole and by phase."""

    step: float | None = None
    phases: dict[str, float] = field(default_factory=dict)


def exchanging(run_dir: Path, now: float) -> bool:
    """Whether the trainer was in its exchange when it last said; unknown counts as yes."""
    heartbeat = read_heartbeat(run_dir)
    if heartbeat is None or now - heartbeat.at > FRESH_SECONDS:
        return True
    return heartbeat.phase in ("", "reduce", "vote")


def steps(run_dir: Path, port: int, now: float) -> Steps:
    """Never waits for longer than half a second: the trainer may be down."""
    heartbeat = read_heartbeat(run_dir)
    if heartbeat is not None and now - heartbeat.at <= FRESH_SECONDS:
        return Steps(heartbeat.step_seconds, dict(heartbeat.phase_seconds))
    return _scraped(port)


def _scraped(port: int) -> Steps:
    for family in text_string_to_metric_families(_page(port)):
        for sample in family.samples:
            if sample.name == STEP_METRIC:
                return Steps(sample.value)
    return Steps()


def _page(port: int) -> str:
    connection = http.client.HTTPConnection("127.0.0.1", port, timeout=PATIENCE_SECONDS)
    try:
        connection.request("GET", "/metrics")
        return connection.getresponse().read(LARGEST_BYTES).decode(errors="replace")
    except (OSError, http.client.HTTPException):
        return ""
    finally:
        connection.close()
