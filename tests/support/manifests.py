"""What the pods of a job come to: their manifests, taken apart."""

from typing import Any

from edgetrain_operator.core.model import Defaults, Job, NodeView
from edgetrain_operator.core.pods import worker_pod
from edgetrain_protocol.job import JobSpec
from edgetrain_protocol.names import EDGE_NODE_LABEL
from edgetrain_protocol.status import JobStatus

DEFAULTS = Defaults("registry.example/edgetrain:1", "fleet.example:8443")
NODE = NodeView("edge-a", {EDGE_NODE_LABEL: ""}, memory=4 << 30)
Json = dict[str, Any]


def spec_of(template: Json | None = None, defaults: Defaults = DEFAULTS, **spec: Any) -> Json:
    """Of the pod of a job with this template.spec."""
    document = JobSpec.model_validate({**spec, "template": {"spec": template or {}}})
    job = Job("digits", "default", "uid-1", 1, document, JobStatus())
    return dict(worker_pod(job, NODE, 1, defaults)["spec"])


def containers(spec: Json) -> dict[str, Json]:
    return {c["name"]: c for c in (*spec["initContainers"], *spec["containers"])}


def env(container: Json) -> dict[str, str | None]:
    return {variable["name"]: variable.get("value") for variable in container["env"]}


def mounts(container: Json) -> dict[str, str]:
    return {mount["mountPath"]: mount["name"] for mount in container["volumeMounts"]}


def on(name: str, **says: Any) -> Json:
    return {"containers": [{"name": name, **says}]}
