"""The pictures in docs/metrics.md: a job in the lab that has its troubles, as Prometheus saw it.

Six minutes: `make pictures`.
"""

import sys
import time
from collections.abc import Callable
from pathlib import Path

from benchmarks.pictures.answers import Asked
from benchmarks.pictures.drawing import draw
from benchmarks.waiting import wait_for
from edgelab.dashboards import DASHBOARDS, dashboard
from edgelab.demo.install import EXAMPLE
from edgelab.demo.observe import bring_up
from edgelab.demo.run import job_of
from edgelab.lab import Lab
from edgelab.prometheus import Prometheus

FOLDER = Path(__file__).parents[2] / "docs" / "pictures"
STEADY_SECONDS = 60.0
"""For something to be seen of what happened."""
CHOKED = "5mbit"
"""Of the elected node's link, which had twenty times as much."""


def happenings(lab: Lab, prometheus: Prometheus) -> dict[str, float]:
    """What happens to the job, and when (Unix seconds): time passes between."""
    elected = "max by (node) (edgetrain_worker_aggregator) == 1"
    lead = wait_for(lambda: prometheus.query(elected), 60, "an aggregator")[0]["metric"]["node"]
    other = next(n.name for n in lab.status().nodes if n.kind == "edge" and n.name != lead)
    acts: dict[str, Callable[[], None]] = {
        f"{lead}'s link falls to {CHOKED}": lambda: lab.link(lead, CHOKED),
        f"{other} loses power": lambda: lab.node_kill(other),
        f"{other} is back": lambda: lab.node_start(other),
    }
    happened = {}
    for what, act in acts.items():
        time.sleep(STEADY_SECONDS)
        print(f"  {what}", flush=True)
        happened[what] = time.time()
        act()
    time.sleep(STEADY_SECONDS)
    return happened


def main() -> int:
    lab = Lab("pictures", say=lambda text: print(f"  {text}", flush=True))
    try:
        prometheus = bring_up(lab)
        began = time.time()
        events = happenings(lab, prometheus)
        job = job_of(EXAMPLE)
        variables = {
            "__rate_interval": "30s",
            "job_namespace": job.namespace,
            "job_name": job.name,
            "node": next(iter(events)).partition("'")[0],
        }
        asked = Asked(prometheus, began, time.time(), variables)
        FOLDER.mkdir(exist_ok=True)
        for path in DASHBOARDS:
            draw(dashboard(path), asked, events, FOLDER / f"{path.stem}.png")
    finally:
        lab.down()
    return 0


if __name__ == "__main__":
    sys.exit(main())
