"""A worker's pod. Passes Pod Security `restricted` unless the job asks for what that forbids."""

from collections.abc import Iterable, Mapping, Sequence
from typing import Any, Literal

from edgetrain_operator.core import volumes
from edgetrain_operator.core.children import has_network_policy, owner, worker_labels
from edgetrain_operator.core.model import Defaults, Job, Manifest, NodeView
from edgetrain_operator.core.naming import digest, pod_name, worker_name
from edgetrain_operator.core.overrides import overridden
from edgetrain_operator.core.placement import tolerations
from edgetrain_protocol import names
from edgetrain_protocol.job import DataPolicy
from edgetrain_protocol.names import Env
from edgetrain_protocol.pods import EnvVar, TemplateContainer

USER = 65532
STOP_SECONDS = 30
"""For the supervisor to save and say goodbye."""
DEFAULT_COMMAND = ("python", f"{names.PROGRAM_DIR}/main.py")
MEMORY = "memory"
PROFILER_RESOURCES = {"requests": {"cpu": "10m", MEMORY: "64Mi"}, "limits": {MEMORY: "128Mi"}}
USUAL_PORTS = {
    Env.CONTROL_PORT: names.CONTROL_PORT,
    Env.PROBE_PORT: names.PROBE_PORT,
    Env.STATE_PORT: names.STATE_PORT,
    Env.PROFILER_PORT: names.PROFILER_PORT,
    Env.TRAINER_METRICS_PORT: names.TRAINER_METRICS_PORT,
}
HOST_PORTS_FROM = 20_000
"""On the nodes' own network each job has ports of its own, below the range that kernels give out."""


def worker_pod(job: Job, node: NodeView, attempt: int, defaults: Defaults) -> Manifest:
    """The manifest of the worker on this node; the API server and the scheduler do the rest."""
    template = job.spec.template
    name = pod_name(job.name, job.uid, node.name, attempt)
    guarded = names.NETWORK_POLICY_LABELS if has_network_policy(job, defaults.network_policy) else {}
    metadata = {
        "name": name,
        "namespace": job.namespace,
        "labels": {**template.metadata.labels, **worker_labels(job, node.name, attempt), **guarded},
        "annotations": {**template.metadata.annotations, names.NODE_ANNOTATION: node.name},
        "ownerReferences": [owner(job)],
    }
    spec = _spec(job, node, defaults, name)
    return {"apiVersion": "v1", "kind": "Pod", "metadata": metadata, "spec": spec}


def image_of(job: Job, node: NodeView | None, defaults: Defaults) -> str:
    """By name alone: of a manifest list, the node's own runtime takes what is built for it."""
    of_class = overridden(job.spec, node).image if node else None
    return of_class or job.spec.program.image or defaults.trainer_image


def command_of(job: Job) -> list[str]:
    """What the supervisor runs."""
    program = job.spec.program
    return [*(program.command or DEFAULT_COMMAND), *program.args]


def _spec(job: Job, node: NodeView, defaults: Defaults, name: str) -> dict[str, Any]:
    wish = job.spec.template.spec
    optional = {
        "imagePullSecrets": wish.image_pull_secrets,
        "priorityClassName": wish.priority_class_name,
        "runtimeClassName": wish.runtime_class_name,
        "hostNetwork": wish.host_network,
    }
    return {
        "restartPolicy": "OnFailure",
        "automountServiceAccountToken": False,
        "enableServiceLinks": False,
        # The node's own resolver: an edge node may reach no cluster DNS, and need none.
        "dnsPolicy": "Default",
        "terminationGracePeriodSeconds": STOP_SECONDS,
        "affinity": {"nodeAffinity": _only_on(node.name)},
        "tolerations": tolerations(job.spec, node),
        "securityContext": {
            "runAsNonRoot": True,
            "runAsUser": USER,
            "runAsGroup": USER,
            "fsGroup": USER,
            "seccompProfile": {"type": "RuntimeDefault"},
        },
        "initContainers": [_profiler(job, node, defaults)],
        "containers": [_trainer(job, node, defaults)],
        "volumes": [*volumes.volumes(job, node.name, name), *wish.volumes],
        **{key: value for key, value in optional.items() if value},
    }


def _only_on(node: str) -> dict[str, Any]:
    """By the scheduler, not by nodeName: that would pass over cordons and taints."""
    term = {"matchFields": [{"key": "metadata.name", "operator": "In", "values": [node]}]}
    return {"requiredDuringSchedulingIgnoredDuringExecution": {"nodeSelectorTerms": [term]}}


def _trainer(job: Job, node: NodeView, defaults: Defaults) -> dict[str, Any]:
    of_class = overridden(job.spec, node)
    container = _container(names.TRAINER_CONTAINER, job, node, defaults)
    wish = _template(job, "trainer")
    user_env = [*job.spec.program.env, *wish.env, *of_class.env]
    return {
        **container,
        "command": ["python", "-m", "edgetrain.supervisor", "--", *command_of(job)],
        "env": _env(user_env, container["env"]),
        "volumeMounts": [*container["volumeMounts"], *volumes.program_mounts(job), *wish.volume_mounts],
        "resources": _with_memory_limit(
            of_class.resources or wish.resources or defaults.trainer_resources, node, defaults
        ),
    }


def _with_memory_limit(resources: Mapping[str, Any], node: NodeView, defaults: Defaults) -> dict[str, Any]:
    """With a part of the node's memory as the limit, where nothing is said of memory. It is no request: the
    API server would take a limit alone for one."""
    limits, requests = (resources.get(kind) or {} for kind in ("limits", "requests"))
    limit = node.memory * defaults.trainer_memory_percent // 100 >> 20
    if not limit or MEMORY in limits or MEMORY in requests:
        return dict(resources)
    return {**resources, "limits": {**limits, MEMORY: f"{limit}Mi"}, "requests": {**requests, MEMORY: "0"}}


def _profiler(job: Job, node: NodeView, defaults: Defaults) -> dict[str, Any]:
    """A native sidecar. With a startup probe, a kubelet that restarted would not restart the trainer."""
    container = _container(names.PROFILER_CONTAINER, job, node, defaults)
    wish = _template(job, "profiler")
    metrics_port = int(_ports(job)[Env.PROFILER_PORT])
    return {
        **container,
        "restartPolicy": "Always",
        # By this name a Prometheus on site finds it, whatever its number.
        "ports": [{"name": names.METRICS_PORT_NAME, "containerPort": metrics_port}],
        "command": ["python", "-m", "edgetrain.profiler"],
        "env": _env(wish.env, container["env"]),
        "volumeMounts": [*container["volumeMounts"], *wish.volume_mounts],
        "resources": wish.resources or PROFILER_RESOURCES,
    }


def _container(name: str, job: Job, node: NodeView, defaults: Defaults) -> dict[str, Any]:
    """What both have. Not the SDK's way but the same image: an edge node fetches one."""
    return {
        "name": name,
        "image": image_of(job, node, defaults),
        "imagePullPolicy": defaults.pull_policy,
        # A container that cannot even begin leaves no other word than the end of its log.
        "terminationMessagePolicy": "FallbackToLogsOnError",
        "env": _own_env(job, node, defaults),
        "volumeMounts": volumes.common_mounts(),
        "securityContext": {
            "allowPrivilegeEscalation": False,
            "readOnlyRootFilesystem": True,
            "capabilities": {"drop": ["ALL"]},
        },
    }


def _own_env(job: Job, node: NodeView, defaults: Defaults) -> list[dict[str, Any]]:
    plain = {
        Env.JOB: f"{job.namespace}/{job.name}",
        Env.JOB_UID: job.uid,
        Env.WORKER: worker_name(node.name),
        Env.NODE: node.name,
        Env.SITE: node.labels.get(names.SITE_LABEL, ""),
        Env.FLEET_ADDRESS: defaults.fleet_address,
        **_ports(job),
        Env.IDENTITY_DIR: names.IDENTITY_DIR,
        Env.CA_FILE: names.CA_FILE,
        Env.RUN_DIR: names.RUN_DIR,
        Env.STATE_DIR: names.STATE_DIR,
        Env.CHECKPOINT_DIR: names.CHECKPOINT_DIR,
        Env.MODEL_DIR: names.MODEL_DIR,
        Env.DATA_DIR: names.DATA_DIR,
    }
    # Nothing for others: pods of before need not be made anew.
    if job.spec.data.policy is DataPolicy.LOCAL:
        plain[Env.DATA_POLICY] = str(DataPolicy.LOCAL)
    fields = {Env.POD: "metadata.name", Env.POD_UID: "metadata.uid", Env.POD_IP: "status.podIP"}
    by_field = [
        {"name": str(k), "valueFrom": {"fieldRef": {"fieldPath": path}}} for k, path in fields.items()
    ]
    return [*by_field, *({"name": str(key), "value": value} for key, value in plain.items())]


def _ports(job: Job) -> dict[Env, str]:
    if not job.spec.template.spec.host_network:
        return {key: str(port) for key, port in USUAL_PORTS.items()}
    first = HOST_PORTS_FROM + int(digest(job.uid), 16) % 2000 * len(USUAL_PORTS)
    return {key: str(first + offset) for offset, key in enumerate(USUAL_PORTS)}


def _env(users: Iterable[EnvVar], ours: Sequence[dict[str, Any]]) -> list[dict[str, Any]]:
    """Ours first: a variable may refer to one before it by $(NAME). Of the user's, a later one wins."""
    wire = {variable.name: variable.to_wire() for variable in users}
    taken = {variable["name"] for variable in ours}
    return [*ours, *(value for name, value in wire.items() if name not in taken)]


def _template(job: Job, name: Literal["trainer", "profiler"]) -> TemplateContainer:
    given = (c for c in job.spec.template.spec.containers if c.name == name)
    return next(given, TemplateContainer.model_construct(name=name))
