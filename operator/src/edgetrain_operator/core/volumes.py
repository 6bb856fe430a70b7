"""The pod's volumes and mounts, and the claims behind them."""

from collections.abc import Iterator, Mapping
from typing import Any

from edgetrain_operator.core.children import claim
from edgetrain_operator.core.model import Job, Manifest
from edgetrain_operator.core.naming import ca_config_map_name, claim_name, identity_secret_name, pod_name
from edgetrain_operator.core.remotes import remotes
from edgetrain_protocol import names
from edgetrain_protocol.pods import Store
from edgetrain_protocol.remote import DataStore

Mount = dict[str, Any]

TMP = "/tmp"
SHARED = {"run": names.RUN_DIR, "state": names.STATE_DIR, "tmp": TMP}
"""emptyDirs; both containers have them."""
STORES = {"checkpoint": names.CHECKPOINT_DIR, "model": names.MODEL_DIR, "data": names.DATA_DIR}
SHARED_MEMORY = "shared-memory"


def volumes(job: Job, node: str, attempt: int) -> list[dict[str, Any]]:
    """Of the pod of this attempt on this node, the job's own last."""
    secret = {"secretName": identity_secret_name(pod_name(job.name, job.uid, node, attempt))}
    ca = {"name": ca_config_map_name(job.name, job.uid)}
    source = job.spec.program.source
    program = (
        {"configMap": {"name": source.config_map.name}} if source and source.config_map else {"emptyDir": {}}
    )
    return [
        {"name": "identity", "secret": {**secret, "defaultMode": 0o440}},
        {"name": "ca", "configMap": ca},
        *({"name": name, "emptyDir": {}} for name in SHARED),
        *({"name": SHARED_MEMORY, "emptyDir": {"medium": "Memory"}} for _ in _shared_memory_mounts(job)),
        *({"name": name, **_source(job, node, name)} for name in STORES),
        *({"name": "program", **program} for _ in _program_mounts(job)),
        *({"name": f"keys-{purpose}", "secret": secret} for purpose, secret in _keys(job)),
        *job.spec.template.spec.volumes,
    ]


def common_mounts() -> list[Mount]:
    """Identity and CA as whole volumes: KubeEdge updates neither environment nor subPath."""
    read_only = {"identity": names.IDENTITY_DIR, "ca": names.CA_DIR}
    return [*_mounts(read_only, readOnly=True), *_mounts(SHARED | STORES)]


def trainer_mounts(job: Job) -> list[Mount]:
    """With the program, and what the job mounts itself."""
    source = job.spec.program.source
    fetched = source is not None and source.uri is not None
    keys = {f"keys-{purpose}": f"{names.KEYS_DIR}/{purpose}" for purpose, _ in _keys(job)}
    return [
        *common_mounts(),
        *_shared_memory_mounts(job),
        *(_mounts({"program": names.PROGRAM_DIR}) if fetched else _program_mounts(job)),
        *_mounts(keys, readOnly=True),
        *_own(job),
    ]


def init_mounts(job: Job) -> list[Mount]:
    """What a container that is no worker has of it all."""
    return [*_mounts({"tmp": TMP} | STORES), *_program_mounts(job)]


def _mounts(paths: Mapping[str, str], **more: bool) -> list[Mount]:
    return [{"name": name, "mountPath": path, **more} for name, path in paths.items()]


def _program_mounts(job: Job) -> list[Mount]:
    return _mounts({"program": names.PROGRAM_DIR}, readOnly=True) if job.spec.program.source else []


def _keys(job: Job) -> Iterator[tuple[str, dict[str, Any]]]:
    """Optional: without it a pod would not start, and nobody would say for what it waits."""
    for remote in remotes(job.spec):
        if remote.secret:
            yield remote.purpose, {"secretName": remote.secret, "defaultMode": 0o440, "optional": True}


def _own(job: Job) -> list[Mount]:
    containers = job.spec.template.spec.containers
    return [mount for c in containers if c.name == names.TRAINER_CONTAINER for mount in c.volume_mounts]


def _shared_memory_mounts(job: Job) -> list[Mount]:
    """Runtimes give a container 64 MiB, where processes of a DataLoader hand over batches. Without a size of
    its own it may grow to the containers' memory limits, which it counts against: who fills them is told
    OutOfMemory, and not SIGBUS. A job that mounts something of its own there has that."""
    if any(mount["mountPath"].rstrip("/") == names.SHARED_MEMORY_DIR for mount in _own(job)):
        return []
    return _mounts({SHARED_MEMORY: names.SHARED_MEMORY_DIR})


def claims(job: Job, node: str) -> list[Manifest]:
    """The claims that this node's pod mounts."""
    wanted = {name: store.claim for name in STORES if (store := _store(job, name)) and store.claim}
    return [claim(job, node, purpose, wish) for purpose, wish in wanted.items()]


def _source(job: Job, node: str, name: str) -> dict[str, Any]:
    store = _store(job, name)
    if store is None:
        return {"emptyDir": {}}
    if store.claim is not None:
        return {"persistentVolumeClaim": {"claimName": claim_name(job.name, job.uid, node, name)}}
    return store.volume or {"emptyDir": {}}


def _store(job: Job, name: str) -> Store | DataStore | None:
    storage = job.spec.storage
    return {"checkpoint": storage.checkpoint, "model": storage.model, "data": storage.data}[name]
