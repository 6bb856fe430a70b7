"""A whole lab's beginning and end."""

import time
from pathlib import Path

from edgelab import cgroups, control_plane, images, machines, network
from edgelab.api import ApiError
from edgelab.cluster import Cluster
from edgelab.config import CONTROL_PLANE
from edgelab.errors import LabError
from edgelab.programs.acquire import Programs
from edgelab.provisioner import STORAGE_CLASS
from edgelab.real_images.store import clone, containerd_of
from edgelab.state import LabFiles, LabRecord

_READY_SECONDS = 120.0
_POLL_SECONDS = 0.05


def is_up(name: str, files: LabFiles) -> bool:
    """Whether the lab was brought up wholly and its control plane still runs."""
    record = files.load()
    return bool(record and record.ready and machines.first_process(network.netns(name, CONTROL_PLANE)))


def begin(
    name: str, files: LabFiles, programs: Programs, node_monitor_grace: float, real_images: Path | None
) -> Cluster:
    """Bring the control plane up, on the ruins of whatever was there before.

    `real_images`: the store that the nodes' images come from; thin images where None.
    """
    end(name, files)
    files.root.mkdir(parents=True, mode=0o755)
    block = network.claim_block(name)
    record = LabRecord(block=block.index, programs=programs, node_monitor_grace=node_monitor_grace)
    files.save(record)
    network.add_control_plane(name, block)
    machine = control_plane.prepare(files, block, programs, node_monitor_grace)
    machines.start(network.netns(name, CONTROL_PLANE), files.control_plane, machine)
    images.prepare(files.images, thin=real_images is None)
    if real_images:
        clone(containerd_of(real_images), files.real_images)
    cluster = Cluster(name, files, record)
    _wait_ready(cluster)
    cluster.api.request("POST", "/apis/storage.k8s.io/v1/storageclasses", STORAGE_CLASS)
    record.ready = True
    files.save(record)
    return cluster


def end(name: str, files: LabFiles) -> None:
    """Remove everything of a lab, found by its name alone."""
    hierarchies = cgroups.find_hierarchies()
    namespaces = network.lab_namespaces(name)
    # All senders end before the links go: their packets would leave by the machine's default route.
    for namespace in namespaces:
        machines.power_off(namespace)
    machines.end_all(lambda: cgroups.processes(hierarchies, name))
    network.remove_host_device(name)
    for namespace in namespaces:
        network.remove_namespace(namespace)
    cgroups.remove(hierarchies, name)
    files.erase()


def _wait_ready(cluster: Cluster) -> None:
    deadline = time.monotonic() + _READY_SECONDS
    while not _is_ready(cluster):
        if time.monotonic() > deadline:
            logs = Path(cluster.files.control_plane, "log")
            raise LabError(f"the control plane is not ready after {_READY_SECONDS:g} s: see {logs}")
        time.sleep(_POLL_SECONDS)


def _is_ready(cluster: Cluster) -> bool:
    try:
        cluster.api.text("GET", "/readyz")
        # Pods are refused until the controllers have made it.
        cluster.api.text("GET", "/api/v1/namespaces/default/serviceaccounts/default")
    except (OSError, ApiError):
        return False
    return True
