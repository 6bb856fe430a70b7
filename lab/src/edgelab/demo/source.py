"""Where the demo's frames come from: the job's status, made livelier by the fleet API's view of its nodes."""

import base64
import http
import json
import ssl
from dataclasses import dataclass, field
from typing import Any

from edgelab.errors import LabError
from edgelab.lab import Lab
from edgetrain.fleet_client import FleetConnection
from edgetrain_protocol.identity import worker_of
from edgetrain_protocol.names import NODE_HASH_LABEL
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
    _headers: dict[str, str] = field(default_factory=dict)
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
            connection.request("GET", f"/v1/jobs/{uid}", headers=self._headers)
            answer = connection.getresponse()
            if answer.status != http.HTTPStatus.OK:
                self._context = None  # The pod that we speak for may be over.
                return {}
            return dict(json.loads(answer.read()))
        finally:
            connection.close()

    def _read_credentials(self, uid: str) -> None:
        """Those of one of its pods, as that one mounts them: whoever may read the Secret may speak for it."""
        secrets, bundles = self._labelled("secret", uid), self._labelled("configmap", uid)
        bundle = next((o["data"]["ca.crt"] for o in bundles if "ca.crt" in o.get("data", {})), "")
        secret = next((o for o in secrets if "token" in o.get("data", {})), None)
        if not bundle or secret is None:
            raise LabError("the job has no pod with a token yet, or no CA")
        meta = secret["metadata"]
        self._headers = {
            "Authorization": f"Bearer {base64.b64decode(secret['data']['token']).decode()}",
            "X-Edgetrain-Worker": worker_of(meta["labels"][NODE_HASH_LABEL]),
            "X-Edgetrain-Pod-Uid": meta["ownerReferences"][0]["uid"],
        }
        self._context = ssl.create_default_context(cadata=bundle)

    def _labelled(self, kind: str, uid: str) -> list[dict[str, Any]]:
        selector = f"edgetrain.io/job-uid={uid}"
        text = self.lab.kubectl("-n", self.job.namespace, "get", kind, "-l", selector, "-o", "json")
        return list(json.loads(text)["items"])


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
