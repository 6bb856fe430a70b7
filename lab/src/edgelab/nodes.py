"""Powering nodes of a lab on and off, and waiting for what the cluster makes of it."""

import shutil
import time
from datetime import UTC, datetime, timedelta

from edgelab import cgroups, images, machines, network, node, shaping
from edgelab.agents import AGENTS
from edgelab.agents.agent import NodeSetup
from edgelab.api import Api, ApiError, Json
from edgelab.cluster import Cluster
from edgelab.config import NodeSpec
from edgelab.errors import LabError
from edgelab.real_images.store import clone

_READY_SECONDS = 90.0
_GRACE_SECONDS = 10.0
_POLL_SECONDS = 0.05


def register(cluster: Cluster, spec: NodeSpec) -> None:
    """Make the Node object, with its labels, before its kubelet comes."""
    wanted = node.node_object(spec)
    try:
        cluster.api.request("POST", "/api/v1/nodes", wanted)
    except ApiError as refused:
        if refused.status != 409:
            raise
        cluster.api.request("PATCH", f"/api/v1/nodes/{spec.name}", wanted)


def power_on(cluster: Cluster, name: str) -> str | None:
    """Start a node that is off. Returns what this kernel cannot shape of its link, if anything."""
    record = cluster.node(name)
    if cluster.is_on(name):
        raise LabError(f"node {name!r} is on already")
    # Remains of a crash, in which sockets of the dead might still speak.
    _discard_machine(cluster, name)
    block = cluster.record.addresses
    network.add_node(cluster.name, block, name, record.number)
    lacking = shaping.shape(cluster.name, block, name, record.number, record.spec.shape)
    groups = cgroups.create(cgroups.find_hierarchies(), cluster.name, name, record.spec.cpu)
    setup = NodeSetup(
        files=cluster.files,
        lab=cluster.name,
        block=block,
        record=record,
        programs=cluster.record.programs,
        images=_images_for(cluster, name),
        api=cluster.api,
    )
    machine = node.prepare(setup, groups)
    machines.start(network.netns(cluster.name, name), cluster.files.node(name).root, machine)
    return lacking


def _images_for(cluster: Cluster, name: str) -> images.ThinImages:
    """Real images lie on the node's own disk; thin ones are carried in at every start."""
    real = cluster.files.real_images
    if not real.is_dir():
        return images.make_thin(images.mounted_paths())
    clone(real, cluster.files.node(name).var / "lib" / "containerd")
    return images.make_thin([])


def power_off(cluster: Cluster, name: str, *, cleanly: bool) -> None:
    """Shut a node down, or cut its power: then nobody is told, not even by a closing connection."""
    record = cluster.node(name)
    if not cluster.is_on(name):
        raise LabError(f"node {name!r} is off already")
    namespace = network.netns(cluster.name, name)
    if cleanly:
        machines.shut_down(namespace, _GRACE_SECONDS)
    else:
        network.silence(cluster.name, record.number)
        machines.power_off(namespace)
    _discard_machine(cluster, name)


def erase(cluster: Cluster, name: str) -> None:
    """Remove a node with its disk, and the cluster's memory of it."""
    if cluster.is_on(name):
        power_off(cluster, name, cleanly=False)
    _discard_machine(cluster, name)
    shutil.rmtree(cluster.files.node(name).root, ignore_errors=True)
    try:
        cluster.api.text("DELETE", f"/api/v1/nodes/{name}")
    except ApiError as refused:
        if refused.status != 404:
            raise


def wait_ready(cluster: Cluster, name: str, since: datetime) -> None:
    """Wait until the node's kubelet has said Ready after `since`: an older word may be that of before a fall.

    Raises:
        LabError: it does not in time, or its machine has ended.
    """
    deadline = time.monotonic() + _READY_SECONDS
    while not is_ready(cluster.api.request("GET", f"/api/v1/nodes/{name}"), since):
        logs, agent = cluster.files.node(name).root, AGENTS[cluster.node(name).spec.kind].name
        if time.monotonic() > deadline:
            raise LabError(
                f"node {name!r} is not Ready after {_READY_SECONDS:g} s: see {logs}/log/{agent}.log"
            )
        if not cluster.is_on(name):
            raise LabError(f"node {name!r} has ended: see {logs}/init.log and {logs}/log")
        time.sleep(_POLL_SECONDS)


def is_ready(node_object: Json, since: datetime) -> bool:
    """Whether a Node is Ready by a heartbeat after `since`. Heartbeats are given in whole seconds."""
    for condition in node_object.get("status", {}).get("conditions", []):
        if condition["type"] == "Ready" and condition["status"] == "True":
            return datetime.fromisoformat(condition["lastHeartbeatTime"]) >= since - timedelta(seconds=1)
    return False


def now() -> datetime:
    return datetime.now(UTC)


def _discard_machine(cluster: Cluster, name: str) -> None:
    hierarchies = cgroups.find_hierarchies()
    machines.power_off(network.netns(cluster.name, name))
    machines.end_all(lambda: cgroups.processes(hierarchies, cluster.name, name))
    network.remove_node(cluster.name, name, cluster.node(name).number)
    cgroups.remove(hierarchies, cluster.name, name)


def container_id(api: Api, namespace: str, pod: str, container: str) -> str:
    """The runtime's name of a pod's container, sidecars included.

    Raises:
        LabError: there is no such container, or it has not been started.
    """
    status = api.request("GET", f"/api/v1/namespaces/{namespace}/pods/{pod}").get("status", {})
    every = [*status.get("containerStatuses", []), *status.get("initContainerStatuses", [])]
    found = next((str(c.get("containerID", "")) for c in every if c["name"] == container), "")
    if not found:
        raise LabError(f"pod {namespace}/{pod} has no started container {container!r}")
    return found.rpartition("/")[2]
