"""A Prometheus beside a lab: it finds the operator by itself, and ends with the lab.

It runs in the control plane's network, from which it reaches every pod, and scrapes the operator alone:
what it knows of workers is what the operator relays.
"""

import json
import time
import urllib.error
import urllib.parse
import urllib.request
from collections.abc import Mapping
from dataclasses import dataclass
from pathlib import Path
from typing import Any

from edgelab import machines
from edgelab.config import CONTROL_PLANE
from edgelab.errors import LabError
from edgelab.lab import Lab
from edgelab.programs.acquire import acquire
from edgelab.programs.pinned import PROMETHEUS

PORT = 9090
SCRAPE_SECONDS = 2
_START_SECONDS = 30.0
_ANSWER_SECONDS = 10.0
_POLL_SECONDS = 0.1

Sample = dict[str, Any]


@dataclass(frozen=True)
class Prometheus:
    """One that runs."""

    url: str

    @property
    def write_url(self) -> str:
        """Where it takes remote writes."""
        return f"{self.url}/api/v1/write"

    def query(self, expression: str, at: float | None = None) -> list[Sample]:
        """The samples of an instant vector, now or at a Unix time.

        Raises:
            LabError: it does not answer, or does not understand the expression; the text is its own.
        """
        when = {} if at is None else {"time": f"{at:.3f}"}
        return self._ask("query", {"query": expression, **when})["result"]  # type: ignore[no-any-return]

    def query_range(self, expression: str, start: float, end: float, step: float) -> list[Sample]:
        """The samples of a range: Unix times, seconds. Raises as `query`."""
        range_of = {"start": f"{start:.3f}", "end": f"{end:.3f}", "step": f"{step:g}"}
        return self._ask("query_range", {"query": expression, **range_of})["result"]  # type: ignore[no-any-return]

    def rules(self) -> list[dict[str, Any]]:
        """All alerting rules as they are evaluated: `name`, `health`, `state`."""
        return [rule for group in self._ask("rules", {})["groups"] for rule in group["rules"]]

    def ready(self) -> bool:
        try:
            with urllib.request.urlopen(f"{self.url}/-/ready", timeout=_ANSWER_SECONDS) as answer:
                return bool(answer.status == 200)
        except OSError:
            return False

    def _ask(self, what: str, arguments: Mapping[str, str]) -> dict[str, Any]:
        url = f"{self.url}/api/v1/{what}?{urllib.parse.urlencode(arguments)}"
        try:
            with urllib.request.urlopen(url, timeout=_ANSWER_SECONDS) as answer:
                return dict(json.loads(answer.read())["data"])
        except urllib.error.HTTPError as error:
            raise LabError(f"Prometheus, asked for {arguments}: {error.read().decode()}") from error
        except OSError as error:
            raise LabError(f"Prometheus at {self.url} does not answer: {error}") from error


def start_prometheus(lab: Lab, namespace: str, rules: Path | None = None) -> Prometheus:
    """Start one and wait until it answers.

    Args:
        namespace: where the operator is.
        rules: a file of alerting rules to evaluate.

    Raises:
        LabError: the lab is not up, or Prometheus did not start; the text says where its log is.
    """
    address = lab.control_plane_address
    program = acquire(lab.say, [PROMETHEUS])["prometheus"]
    directory = lab.files.control_plane / "prometheus"
    directory.mkdir(exist_ok=True)
    (directory / "prometheus.json").write_text(json.dumps(configuration(lab.kubeconfig, namespace, rules)))
    started = Prometheus(f"http://{address}:{PORT}")
    log = directory / "prometheus.log"
    machines.spawn(lab.netns(CONTROL_PLANE), serve(program, directory, f"{address}:{PORT}"), log)
    end = time.monotonic() + _START_SECONDS
    while not started.ready():
        if time.monotonic() > end:
            raise LabError(f"Prometheus did not start: see {log}")
        time.sleep(_POLL_SECONDS)
    return started


def serve(program: Path, directory: Path, address: str) -> list[str]:
    """The command that serves what `directory`/prometheus.json configures, on host:port."""
    return [
        str(program),
        f"--config.file={directory / 'prometheus.json'}",
        f"--storage.tsdb.path={directory / 'data'}",
        f"--web.listen-address={address}",
        "--web.enable-remote-write-receiver",
    ]


def configuration(kubeconfig: Path, namespace: str, rules: Path | None) -> dict[str, Any]:
    """As JSON, which is YAML too."""
    return {
        "global": {"scrape_interval": f"{SCRAPE_SECONDS}s", "evaluation_interval": "5s"},
        # Late reports are older than what is there already.
        "storage": {"tsdb": {"out_of_order_time_window": "1d"}},
        "rule_files": [str(rules)] if rules else [],
        "scrape_configs": [
            _scrape("edgetrain-operator", "/metrics", kubeconfig, namespace),
            _scrape("edgetrain-workers", "/metrics/workers", kubeconfig, namespace),
        ],
    }


def _scrape(job: str, path: str, kubeconfig: Path, namespace: str) -> dict[str, Any]:
    pods = {"role": "pod", "kubeconfig_file": str(kubeconfig), "namespaces": {"names": [namespace]}}
    return {
        "job_name": job,
        "metrics_path": path,
        "kubernetes_sd_configs": [pods],
        "relabel_configs": [
            {
                "action": "keep",
                "source_labels": [
                    "__meta_kubernetes_pod_label_app_kubernetes_io_name",
                    "__meta_kubernetes_pod_container_port_name",
                ],
                "regex": "edgetrain-operator;metrics",
            },
            {"source_labels": ["__meta_kubernetes_pod_name"], "target_label": "pod"},
        ],
    }


def end_prometheus(lab: Lab) -> None:
    """End the one beside the lab; what it stored stays until the lab goes."""
    for pid in machines.processes_in(lab.netns(CONTROL_PLANE)):
        if machines.name_of(pid) == "prometheus":
            machines.kill(pid)
