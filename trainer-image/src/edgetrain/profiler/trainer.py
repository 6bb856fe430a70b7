"""What the trainer says of itself: its heartbeat file, and its page of metrics."""

import contextlib
import http.client
from collections.abc import Iterator
from pathlib import Path

from prometheus_client.core import Metric
from prometheus_client.parser import text_string_to_metric_families

from edgetrain.rundir import read_heartbeat

FRESH_SECONDS = 10.0
PATIENCE_SECONDS = 0.5
LARGEST_BYTES = 1 << 20
OURS = "edgetrain_"


def exchanging(run_dir: Path, now: float) -> bool:
    """Whether the trainer was in its exchange when it last said; unknown counts as yes."""
    heartbeat = read_heartbeat(run_dir)
    if heartbeat is None or now - heartbeat.at > FRESH_SECONDS:
        return True
    return heartbeat.phase in ("", "reduce", "vote")


def metrics(port: int) -> Iterator[Metric]:
    """Those of the trainer container; none while it is down. Never waits for longer than half a second."""
    # A page that is none must not take the profiler's own off.
    with contextlib.suppress(ValueError):
        for family in text_string_to_metric_families(_page(port)):
            if family.name.startswith(OURS):
                yield family


def _page(port: int) -> str:
    connection = http.client.HTTPConnection("127.0.0.1", port, timeout=PATIENCE_SECONDS)
    try:
        connection.request("GET", "/metrics")
        return connection.getresponse().read(LARGEST_BYTES).decode(errors="replace")
    except (OSError, http.client.HTTPException):
        return ""
    finally:
        connection.close()
