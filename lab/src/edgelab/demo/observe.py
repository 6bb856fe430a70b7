"""A job that goes on, with Prometheus beside it: to look at, and to leave alone."""

import time
from pathlib import Path

import yaml
from rich.console import Console

from edgelab.config import read_config
from edgelab.demo.install import CHART, EXAMPLE, OPERATOR_NAMESPACE, install_operator
from edgelab.demo.run import NAMESPACE, NODES, example
from edgelab.demo.source import Source
from edgelab.errors import LabError
from edgelab.lab import Lab
from edgelab.prometheus import Prometheus, start_prometheus

RULES = CHART / "files" / "rules" / "edgetrain.yaml"
DASHBOARDS = CHART / "files" / "dashboards"
MANY_EPOCHS = "1000000"
LIMIT_SECONDS = 180.0
LOOK_EVERY_SECONDS = 0.5


def run_observe(name: str, console: Console) -> int:
    """Bring all of it up and say where to look; it stays until `edgelab down`."""
    lab = Lab(name, say=console.print)
    lab.down()
    config = read_config(NODES)
    console.print(f"bringing up a cluster: 1 cloud node, {len(config.nodes) - 1} edge nodes")
    lab.up(config)
    address = install_operator(lab, "cloud-1")
    prometheus = start_prometheus(lab, OPERATOR_NAMESPACE, RULES)
    lab.kubectl("create", "namespace", NAMESPACE)
    lab.kubectl("-n", NAMESPACE, "apply", "-f", "-", stdin=endless(EXAMPLE))
    _wait_measured(prometheus, Source(lab, example(), address))
    console.print(where_to_look(lab, prometheus), highlight=False)
    return 0


def endless(manifest: Path) -> str:
    """The example's manifest, for more epochs than anybody waits for."""
    documents = list(yaml.safe_load_all(manifest.read_text()))
    for document in documents:
        if document["kind"] == "EdgeTrainingJob":
            arguments = document["spec"]["program"]["args"]
            arguments[arguments.index("--epochs") + 1] = MANY_EPOCHS
    return yaml.safe_dump_all(documents)


def where_to_look(lab: Lab, prometheus: Prometheus) -> str:
    return f"""
The job trains, and goes on training. Prometheus scrapes the operator every two seconds:

  {prometheus.url}         its API, and its own pages where it is an official release
  curl -s '{prometheus.url}/api/v1/query?query=edgetrain_loss'
  curl -s '{prometheus.url}/api/v1/rules'

Dashboards for a Grafana that has it as a data source: {DASHBOARDS}
The cluster: export KUBECONFIG={lab.kubeconfig}
Something to see: edgelab link edge-1 5mbit --name {lab.name}; edgelab node kill edge-2 --name {lab.name}
The end of it: edgelab down --name {lab.name}
"""


def _wait_measured(prometheus: Prometheus, source: Source) -> None:
    """Until Prometheus knows that steps are being committed."""
    end = time.monotonic() + LIMIT_SECONDS
    while not prometheus.query("max(rate(edgetrain_steps_total[30s])) > 0"):
        if time.monotonic() > end:
            raise LabError(f"no step was seen to be committed; the job's phase is {source.status().phase}")
        time.sleep(LOOK_EVERY_SECONDS)
