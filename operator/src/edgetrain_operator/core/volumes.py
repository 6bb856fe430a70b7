"""The pod's volumes and mounts, and the claims behind them."""

from typing import Any

from edgetrain_operator.core.children import claim
from edgetrain_operator.core.model import Job, Manifest
from edgetrain_operator.core.naming import ca_config_map_name, claim_name, identity_secret_name
from edgetrain_protocol import names
from edgetrain_protocol.pods import Store

SHARED = {"run": names.RUN_DIR, "state": names.STATE_DIR, "tmp": "/tmp"}
"""emptyDirs; both containers have them."""
STORES = {"checkpoint": names.CHECKPOINT_DIR, "model": names.MODEL_DIR, "data": names.DATA_DIR}


def volumes(job: Job, node: str, pod: str) -> list[dict[str, Any]]:
    """Of the pod of this name on this node."""
    secret = {"secretName": identity_secret_name(pod), "defaultMode": 0o440}
    ca = {"name": ca_config_map_name(job.name, job.uid)}
    source = job.spec.program.source
    program = [] if source is None or source.config_map is None else [source.config_map.name]
    return [
        {"name": "identity", "secret": secret},
        {"name": "ca", "configMap": ca},
        *({"name": name, "emptyDir": {}} for name in SHARED),
        *({"name": name, **_source(job, node, name)} for name in STORES),
        *({"name": "program", "configMap": {"name": name}} for name in program),
    ]


def common_mounts() -> list[dict[str, Any]]:
    """Identity and CA as whole volumes: KubeEdge updates neither environment nor subPath."""
    read_only = {"identity": names.IDENTITY_DIR, "ca": names.CA_DIR}
    return [
        *({"name": name, "mountPath": path, "readOnly": True} for name, path in read_only.items()),
        *({"name": name, "mountPath": path} for name, path in (SHARED | STORES).items()),
    ]


def program_mounts(job: Job) -> list[dict[str, Any]]:
    if job.spec.program.source is None:
        return []
    return [{"name": "program", "mountPath": names.PROGRAM_DIR, "readOnly": True}]


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


def _store(job: Job, name: str) -> Store | None:
    storage = job.spec.storage
    return {"checkpoint": storage.checkpoint, "model": storage.model, "data": storage.data}[name]
