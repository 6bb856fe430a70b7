"""Local volumes of the lab: a directory on the node that the scheduler chose, as a `local` PersistentVolume.

Runs with the control plane. A claim is served when its pod has been placed (WaitForFirstConsumer); a volume
whose claim is gone is erased. Every event is a hint only: what is done follows from the object's state.
"""

import logging
import shutil
import sys
import threading
import time
from collections.abc import Callable
from pathlib import Path

from edgelab.api import Api, ApiError, Json
from edgelab.state import LabFiles, LabRecord

CLASS_NAME = "edgelab-local"
PROVISIONER = "edgelab/local"
_PROVISIONED_BY = "pv.kubernetes.io/provisioned-by"
_SELECTED_NODE = "volume.kubernetes.io/selected-node"
_RETRY_SECONDS = 1.0

STORAGE_CLASS: Json = {
    "apiVersion": "storage.k8s.io/v1",
    "kind": "StorageClass",
    "metadata": {"name": CLASS_NAME, "annotations": {"storageclass.kubernetes.io/is-default-class": "true"}},
    "provisioner": PROVISIONER,
    "volumeBindingMode": "WaitForFirstConsumer",
    "reclaimPolicy": "Delete",
}

_log = logging.getLogger(__name__)


def chosen_node(claim: Json) -> str | None:
    """The node on which this claim waits for a volume of ours; None where it waits for none."""
    spec, meta = claim["spec"], claim["metadata"]
    waits = claim.get("status", {}).get("phase") == "Pending" and not spec.get("volumeName")
    if not waits or spec.get("storageClassName") != CLASS_NAME or meta.get("deletionTimestamp"):
        return None
    return str(meta.get("annotations", {}).get(_SELECTED_NODE, "")) or None


def is_abandoned(volume: Json) -> bool:
    """Whether this volume is ours and its claim is gone."""
    ours: bool = volume["metadata"].get("annotations", {}).get(_PROVISIONED_BY) == PROVISIONER
    deleted: bool = volume["spec"].get("persistentVolumeReclaimPolicy") == "Delete"
    return ours and deleted and volume.get("status", {}).get("phase") == "Released"


def volume_name(claim: Json) -> str:
    """One claim, one name: a claim that is served twice gets the same volume."""
    return f"pvc-{claim['metadata']['uid']}"


def volume_for(claim: Json, node: str) -> Json:
    """The PersistentVolume that serves a claim. Its path is as the node sees it."""
    meta, spec, name = claim["metadata"], claim["spec"], volume_name(claim)
    place = {"key": "kubernetes.io/hostname", "operator": "In", "values": [node]}
    reference = {"apiVersion": "v1", "kind": "PersistentVolumeClaim", "uid": meta["uid"]}
    return {
        "apiVersion": "v1",
        "kind": "PersistentVolume",
        "metadata": {"name": name, "annotations": {_PROVISIONED_BY: PROVISIONER}},
        "spec": {
            "capacity": {"storage": spec["resources"]["requests"]["storage"]},
            "accessModes": spec["accessModes"],
            "volumeMode": "Filesystem",
            "persistentVolumeReclaimPolicy": "Delete",
            "storageClassName": CLASS_NAME,
            "claimRef": reference | {"namespace": meta["namespace"], "name": meta["name"]},
            "local": {"path": f"/var/volumes/{name}"},
            "nodeAffinity": {"required": {"nodeSelectorTerms": [{"matchExpressions": [place]}]}},
        },
    }


def serve(api: Api, files: LabFiles, claim: Json) -> None:
    """Make the volume that a claim waits for, if it waits for one."""
    node = chosen_node(claim)
    if node is None or not files.node(node).volumes.is_dir():
        return
    directory = files.node(node).volumes / volume_name(claim)
    directory.mkdir(exist_ok=True)
    # Pods write as users of their own; mkdir's mode would be narrowed by the umask.
    directory.chmod(0o777)
    try:
        api.request("POST", "/api/v1/persistentvolumes", volume_for(claim, node))
    except ApiError as refused:
        if refused.status != 409:
            raise
    _log.info("%s/%s: on %s", claim["metadata"]["namespace"], claim["metadata"]["name"], node)


def reclaim(api: Api, files: LabFiles, volume: Json) -> None:
    """Erase a volume whose claim is gone."""
    if not is_abandoned(volume):
        return
    name = volume["metadata"]["name"]
    for directory in files.root.glob(f"nodes/*/var/volumes/{name}"):
        shutil.rmtree(directory, ignore_errors=True)
    api.text("DELETE", f"/api/v1/persistentvolumes/{name}")
    _log.info("%s: erased", name)


def follow(api: Api, path: str, act: Callable[[Json], None]) -> None:
    """Act on every object of a collection, for ever; what fails is met again in the next list."""
    while True:
        try:
            for thing in api.list_and_watch(path):
                act(thing)
        except (OSError, ValueError, ApiError) as problem:
            _log.warning("%s: %s", path, problem)
            time.sleep(_RETRY_SECONDS)


def main(root: Path) -> None:
    logging.basicConfig(level=logging.INFO, format="%(asctime)s %(message)s")
    files = LabFiles(root)
    record = files.load()
    if not isinstance(record, LabRecord):
        sys.exit(f"{root} holds no lab")
    api = Api(str(record.addresses.control_plane), files.authority.files, files.admin)
    volumes = "/api/v1/persistentvolumes"
    threading.Thread(
        target=follow, args=(api, volumes, lambda v: reclaim(api, files, v)), daemon=True
    ).start()
    follow(api, "/api/v1/persistentvolumeclaims", lambda claim: serve(api, files, claim))


if __name__ == "__main__":
    main(Path(sys.argv[1]))
