"""The containers of a worker's pod: trainer, profiler, and those that the job runs before or beside them."""

from collections.abc import Mapping
from functools import cache
from typing import Any, Literal

from edgetrain_operator.core import security, volumes
from edgetrain_operator.core.model import Defaults, Job, NodeView
from edgetrain_operator.core.overrides import overridden
from edgetrain_operator.core.worker_env import merged, own_env, ports
from edgetrain_protocol import names
from edgetrain_protocol.names import Env
from edgetrain_protocol.template import InitContainer, TemplateContainer

DEFAULT_COMMAND = ("python", f"{names.PROGRAM_DIR}/main.py")
MEMORY = "memory"
PROFILER_RESOURCES = {"requests": {"cpu": "10m", MEMORY: "64Mi"}, "limits": {MEMORY: "128Mi"}}

Container = dict[str, Any]

_UNTIL_IT_HEARS = """
import time
for _ in range(100):
    status = dict(line.split(":", 1) for line in open("/proc/1/status"))
    if int(status["SigCgt"], 16) >> 14 & 1:
        break
    time.sleep(0.1)
"""
"""Until the container's first process has a handler for SIGTERM (15). A signal without one is nothing to it,
and the kubelet sends one alone: a pod that was deleted as it started kept its node for its grace period."""
BEFORE_STOP = {"preStop": {"exec": {"command": ["python", "-I", "-S", "-c", _UNTIL_IT_HEARS]}}}


def image_of(job: Job, node: NodeView | None, defaults: Defaults) -> str:
    """By name alone: of a manifest list, the node's own runtime takes what is built for it."""
    of_class = overridden(job.spec, node).image if node else None
    return of_class or job.spec.program.image or defaults.trainer_image


def command_of(job: Job) -> list[str]:
    """What the supervisor runs."""
    program = job.spec.program
    return [*(program.command or DEFAULT_COMMAND), *program.args]


def trainer(job: Job, node: NodeView, attempt: int, defaults: Defaults) -> Container:
    of_class, wish = overridden(job.spec, node), template_of(job, "trainer")
    user_env = [*job.spec.program.env, *wish.env, *of_class.env]
    return {
        **_container(names.TRAINER_CONTAINER, image_of(job, node, defaults), defaults),
        **_host_ports(job, attempt),
        "lifecycle": BEFORE_STOP,
        "command": ["python", "-m", "edgetrain.supervisor", "--", *command_of(job)],
        "env": merged(own_env(job, node, attempt, defaults), defaults, user_env),
        "volumeMounts": volumes.trainer_mounts(job),
        "resources": _with_memory_limit(
            of_class.resources or wish.resources or defaults.trainer_resources, node, defaults
        ),
        "securityContext": security.of_container(wish.security_context),
    }


def profiler(job: Job, node: NodeView, attempt: int, defaults: Defaults) -> Container:
    """A native sidecar. With a startup probe, a kubelet that restarted would not restart the trainer."""
    wish = template_of(job, "profiler")
    return {
        # Not the SDK's way but the same image: an edge node fetches one.
        **_container(names.PROFILER_CONTAINER, image_of(job, node, defaults), defaults),
        "restartPolicy": "Always",
        "lifecycle": BEFORE_STOP,
        # By this name a Prometheus on site finds it, whatever its number.
        "ports": [{"name": names.METRICS_PORT_NAME, "containerPort": ports(job, attempt)[Env.PROFILER_PORT]}],
        "command": ["python", "-m", "edgetrain.profiler"],
        "env": merged(own_env(job, node, attempt, defaults), defaults, wish.env),
        "volumeMounts": [*volumes.common_mounts(), *wish.volume_mounts],
        "resources": wish.resources or PROFILER_RESOURCES,
        "securityContext": security.of_container(wish.security_context),
    }


def init_container(
    wish: InitContainer, job: Job, node: NodeView, attempt: int, defaults: Defaults
) -> Container:
    """One of the job's own. It is no worker: it has neither the pod's identity nor the supervisor's state."""
    optional = {
        "command": wish.command,
        "args": wish.args,
        "resources": wish.resources,
        "restartPolicy": wish.restart_policy,
    }
    return {
        **_container(wish.name, wish.image or image_of(job, node, defaults), defaults),
        "env": merged(own_env(job, node, attempt, defaults), defaults, wish.env),
        "volumeMounts": [*volumes.init_mounts(job), *wish.volume_mounts],
        "securityContext": security.of_container(wish.security_context),
        **{key: value for key, value in optional.items() if value},
    }


def _container(name: str, image: str, defaults: Defaults) -> Container:
    return {
        "name": name,
        "image": image,
        "imagePullPolicy": defaults.pull_policy,
        # A container that cannot even begin leaves no other word than the end of its log.
        "terminationMessagePolicy": "FallbackToLogsOnError",
    }


def _host_ports(job: Job, attempt: int) -> Container:
    """On the nodes' own network, for the scheduler to keep pods apart whose ports are the same. Not the
    profiler's, which it says itself: blocks of ports are the same as a whole, or not at all."""
    if not job.spec.template.spec.host_network:
        return {}
    mine = (port for key, port in ports(job, attempt).items() if key != Env.PROFILER_PORT)
    return {"ports": [{"containerPort": port, "hostPort": port} for port in mine]}


def _with_memory_limit(resources: Mapping[str, Any], node: NodeView, defaults: Defaults) -> Container:
    """With a part of the node's memory as the limit, where nothing is said of memory. It is no request: the
    API server would take a limit alone for one."""
    limits, requests = (resources.get(kind) or {} for kind in ("limits", "requests"))
    limit = node.memory * defaults.trainer_memory_percent // 100 >> 20
    if not limit or MEMORY in limits or MEMORY in requests:
        return dict(resources)
    return {**resources, "limits": {**limits, MEMORY: f"{limit}Mi"}, "requests": {**requests, MEMORY: "0"}}


def template_of(job: Job, name: Literal["trainer", "profiler"]) -> TemplateContainer:
    """What the job adds to this container."""
    given = (c for c in job.spec.template.spec.containers if c.name == name)
    return next(given, None) or _nothing_added(name)


@cache
def _nothing_added(name: Literal["trainer", "profiler"]) -> TemplateContainer:
    """Made once: defaults take longer to fill in than the rest of a pod's manifest takes to make."""
    return TemplateContainer(name=name)
