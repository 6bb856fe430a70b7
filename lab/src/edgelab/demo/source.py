"""Where the demo's frames come from: the job's status, made livelier by the fleet API's view of its nodes."""

import base64
import json
import ssl
from dataclasses import dataclass
from typing import Any

from edgelab.errors import LabError
from edgelab.lab import Lab
from edgetrain.fleet_client import FleetConnection
from edgetrain_protocol.status import JobStatus, NodeStatus

FLEET_SECONDS = 2.0


@dataclass(frozen=True)
class JobRef:
    """The job that the demo follows."""

    namespace: str
    name: str


@dataclass
class Source:
    """Reads one job. `fleet_address` is host:port of the fleet API as this machine reaches it."""

    lab: Lab
    job: JobRef
    fleet_address: str
    _token: str = ""
    _context: ssl.SSLContext | None = None

    def status(self) -> JobStatus:
        """The newest status; fresher figures from the fleet API where it answers."""
        document = self._get("etj", self.job.name)
        status = JobStatus.model_validate(document.get("status", {}))
        return freshened(status, self._view(document["metadata"]["uid"]))

    def _get(self, kind: str, name: str) -> dict[str, Any]:
        text = self.lab.kubectl("-n", self.job.namespace, "get", kind, name, "-o", "json")
        return dict(json.loads(text))

    def _view(self, uid: str) -> dict[str, Any]:
        """The fleet API's view of the job; empty while it does not answer."""
        try:
            return self._ask(uid)
        except (OSError, ValueError, LabError):
            self._context = None
            return {}

    def _ask(self, uid: str) -> dict[str, Any]:
        if self._context is None:
            self._read_credentials(uid)
        assert self._context is not None
        connection = FleetConnection(self.fleet_address, self._context)
        connection.timeout = FLEET_SECONDS
        try:
            connection.request("GET", f"/v1/jobs/{uid}", headers={"Authorization": f"Bearer {self._token}"})
            answer = connection.getresponse()
            return dict(json.loads(answer.read())) if answer.status == 200 else {}
        finally:
            connection.close()

    def _read_credentials(self, uid: str) -> None:
        """The job's token and CA, as its pods mount them; found by the label that says whose they are."""
        selector = f"edgetrain.io/job-uid={uid}"
        text = self.lab.kubectl(
            "-n", self.job.namespace, "get", "secret,configmap", "-l", selector, "-o", "json"
        )
        data: dict[str, str] = {}
        for item in json.loads(text)["items"]:
            secret = item["kind"] == "Secret"
            for key, value in item.get("data", {}).items():
                data[key] = base64.b64decode(value).decode() if secret else value
        if not {"token", "ca.crt"} <= data.keys():
            raise LabError("the job has no token or CA yet")
        self._token = data["token"].strip()
        self._context = ssl.create_default_context(cadata=data["ca.crt"])


def freshened(status: JobStatus, view: dict[str, Any]) -> JobStatus:
    """The status with newer progress and rates from a fleet API view; the states stay the operator's."""
    lines = {line["worker"]: line for line in view.get("nodes", ())}
    nodes = [_node(node, lines[node.worker]) if node.worker in lines else node for node in status.nodes]
    ahead = max(lines.values(), key=lambda line: line.get("step", 0), default=None)
    progress = status.progress
    if ahead is not None and ahead.get("step", 0) > progress.step:
        loss = ahead.get("loss")
        progress = progress.model_copy(
            update={
                "step": ahead["step"],
                "epoch": ahead.get("epoch", 0),
                "percent": ahead.get("percent", 0.0),
                "loss": progress.loss if loss is None else loss,
                # The group's, which every member reports.
                "samples_per_second": ahead.get("samplesPerSecond", 0.0),
            }
        )
    return status.model_copy(update={"nodes": nodes, "progress": progress})


def _node(node: NodeStatus, line: dict[str, Any]) -> NodeStatus:
    rate = line.get("bandwidthBitsPerSecond") or node.bandwidth_bits_per_second
    figures = {"steps_per_second": line.get("stepsPerSecond", 0.0), "bandwidth_bits_per_second": rate}
    return node.model_copy(update=figures)
