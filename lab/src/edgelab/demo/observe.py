"""A job that goes on, with Prometheus beside it: to look at, and to leave alone."""

import sys
import time
from collections.abc import Callable
from pathlib import Path

import yaml
from rich.console import Console

from edgelab.config import read_config
from edgelab.dashboards import FOLDER
from edgelab.demo.install import CHART, EXAMPLE, OPERATOR_NAMESPACE, install_operator, make_namespace
from edgelab.demo.run import NAMESPACE, job_of
from edgelab.demo.showings import ONE_GROUP
from edgelab.demo.source import Source
from edgelab.errors import LabError
from edgelab.lab import Lab
from edgelab.prometheus import Prometheus, start_prometheus

RULES = CHART / "files" / "rules" / "edgetrain.yaml"
MANY_EPOCHS = "1000000"
LIMIT_SECONDS = 180.0
LOOK_EVERY_SECONDS = 0.5


def run_observe(name: str, console: Console) -> int:
    """Bring all of it up and say where to look; it stays until `edgelab down`, unless it is interrupted."""
    lab = Lab(name, say=console.print)
    try:
        prometheus = bring_up(lab)
    except BaseException:
        console.print("taking the cluster down")
        lab.down()
        raise
    # Commands are there to be copied: never broken at the end of a line.
    console.print(where_to_look(lab, prometheus), highlight=False, soft_wrap=True)
    return 0


def bring_up(lab: Lab) -> Prometheus:
    """The demo's nodes, the operator, Prometheus, and the example's job; returns once it trains.

    Raises:
        LabError: a step failed; the text says which and what to look at.
    """
    # What an earlier one left.
    lab.down()
    config = read_config(ONE_GROUP.nodes)
    lab.say(f"bringing up a cluster: 1 cloud node, {len(config.nodes) - 1} edge nodes")
    lab.up(config)
    lab.say("helm install edgetrain")
    address = install_operator(lab, "cloud-1")
    prometheus = start_prometheus(lab, OPERATOR_NAMESPACE, RULES)
    # What is counted from then on, Prometheus has seen at 0.
    _wait_for(prometheus, "edgetrain_operator_leader == 1", lambda: "Prometheus does not see the operator")
    lab.say("kubectl apply -f examples/digits.yaml, for more epochs than anybody waits for")
    make_namespace(lab, NAMESPACE)
    lab.kubectl("-n", NAMESPACE, "apply", "-f", "-", stdin=endless(EXAMPLE))
    source = Source(lab, job_of(EXAMPLE), address)
    committing = "max(rate(edgetrain_steps_total[30s])) > 0"
    _wait_for(prometheus, committing, lambda: f"no step was committed; the phase is {source.status().phase}")
    return prometheus


def endless(manifest: Path) -> str:
    """The example's manifest, for more epochs than anybody waits for."""
    documents = list(yaml.safe_load_all(manifest.read_text()))
    for document in documents:
        if document["kind"] == "EdgeTrainingJob":
            arguments = document["spec"]["program"]["args"]
            arguments[arguments.index("--epochs") + 1] = MANY_EPOCHS
    return yaml.safe_dump_all(documents)


def where_to_look(lab: Lab, prometheus: Prometheus) -> str:
    own = sys.argv[0] if Path(sys.argv[0]).name == "edgelab" else "edgelab"
    return f"""
The job trains, and goes on training. Prometheus scrapes the operator every two seconds:

  {prometheus.url}         its API, and its own pages where it is an official release
  curl -s '{prometheus.url}/api/v1/query?query=edgetrain_loss'
  curl -s '{prometheus.url}/api/v1/rules'

Dashboards for a Grafana that has it as a data source: {FOLDER}
The cluster: export KUBECONFIG={lab.kubeconfig}
Something to see: {own} link edge-1 5mbit --name {lab.name}
                  {own} node kill edge-2 --name {lab.name}
The end of it: {own} down --name {lab.name}
"""


def _wait_for(prometheus: Prometheus, expression: str, otherwise: Callable[[], str]) -> None:
    """Until Prometheus has an answer."""
    end = time.monotonic() + LIMIT_SECONDS
    while not prometheus.query(expression):
        if time.monotonic() > end:
            raise LabError(otherwise())
        time.sleep(LOOK_EVERY_SECONDS)
