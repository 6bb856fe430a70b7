"""The environment of a worker's containers, and the ports that it names."""

from collections.abc import Iterable, Sequence
from typing import Any

from edgetrain_operator.core.grace import grace_seconds
from edgetrain_operator.core.model import Defaults, Job, NodeView
from edgetrain_operator.core.naming import digest, worker_name
from edgetrain_operator.core.remotes import remotes
from edgetrain_protocol import names
from edgetrain_protocol.job import DataPolicy
from edgetrain_protocol.names import Env
from edgetrain_protocol.pods import EnvVar

USUAL_PORTS = {
    Env.CONTROL_PORT: names.CONTROL_PORT,
    Env.PROBE_PORT: names.PROBE_PORT,
    Env.STATE_PORT: names.STATE_PORT,
    Env.ROUNDS_PORT: names.ROUNDS_PORT,
    Env.PROFILER_PORT: names.PROFILER_PORT,
    Env.TRAINER_METRICS_PORT: names.TRAINER_METRICS_PORT,
}
HOST_PORTS_FROM, HOST_PORTS_TO = 20_000, 30_000
"""On the nodes' own network each pod has a block of its own, below the ranges that kernels and Services of
type NodePort give out."""
HOST_PORT_BLOCKS = (HOST_PORTS_TO - HOST_PORTS_FROM) // len(USUAL_PORTS)

_URIS = {
    "program": Env.PROGRAM_URI,
    "data": Env.DATA_URI,
    "checkpoint": Env.CHECKPOINT_URI,
    "model": Env.MODEL_URI,
}
_SHA256 = {"program": Env.PROGRAM_SHA256, "data": Env.DATA_SHA256}

Variables = list[dict[str, Any]]


def own_env(job: Job, node: NodeView, attempt: int, defaults: Defaults) -> Variables:
    """What the operator tells every container; nobody else sets these."""
    plain = {
        Env.JOB: f"{job.namespace}/{job.name}",
        Env.JOB_UID: job.uid,
        Env.WORKER: worker_name(node.name),
        Env.NODE: node.name,
        Env.SITE: node.labels.get(names.SITE_LABEL, ""),
        Env.FLEET_ADDRESS: defaults.fleet_address,
        **{key: str(port) for key, port in ports(job, attempt).items()},
        Env.GRACE_SECONDS: str(grace_seconds(job.spec)),
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
    plain |= _remote(job)
    fields = {Env.POD: "metadata.name", Env.POD_UID: "metadata.uid", Env.POD_IP: "status.podIP"}
    by_field = [
        {"name": str(k), "valueFrom": {"fieldRef": {"fieldPath": path}}} for k, path in fields.items()
    ]
    return [*by_field, *({"name": str(key), "value": value} for key, value in plain.items())]


def _remote(job: Job) -> dict[Env, str]:
    found = remotes(job.spec)
    keys = ",".join(remote.purpose for remote in found if remote.secret)
    named = {_URIS[remote.purpose]: remote.uri for remote in found}
    pinned = {_SHA256[remote.purpose]: remote.sha256 for remote in found if remote.sha256}
    return {key: value for key, value in {**named, **pinned, Env.KEYS: keys}.items() if value}


def ports(job: Job, attempt: int) -> dict[Env, int]:
    """Where this pod's containers listen. On the nodes' own network another attempt has other ports: so a pod
    whose ports are taken on its node is mended by the next one."""
    if not job.spec.template.spec.host_network:
        return dict(USUAL_PORTS)
    block = int(digest(f"{job.uid}/{attempt}"), 16) % HOST_PORT_BLOCKS
    first = HOST_PORTS_FROM + block * len(USUAL_PORTS)
    return {key: first + offset for offset, key in enumerate(USUAL_PORTS)}


def merged(ours: Sequence[dict[str, Any]], defaults: Defaults, users: Iterable[EnvVar]) -> Variables:
    """Ours first: a variable may refer to one before it by $(NAME). Then the installation's and the user's,
    of which a later one wins."""
    wire = {variable.name: variable.to_wire() for variable in (*defaults.trainer_env, *users)}
    taken = {variable["name"] for variable in ours}
    return [*ours, *(value for name, value in wire.items() if name not in taken)]
