"""What a lab is doing, as `edgelab status` shows it."""

from pydantic import BaseModel

from edgelab import machines, network
from edgelab.api import ApiError, Json
from edgelab.cluster import Cluster
from edgelab.config import CONTROL_PLANE

_NO_ANSWER = "Unknown"


class NodeView(BaseModel):
    """A node. `ready` is the Node's own condition (True, False, Unknown); `partition` its group's
    number, `cuts` what else does not pass, each in words."""

    name: str
    kind: str
    power: str
    ready: str
    address: str
    link: str | None
    cpu: float | None
    site: str | None
    partition: int | None
    offline: bool
    cuts: list[str]


class LabStatus(BaseModel):
    """A lab. `control_plane` is `on` or `off`."""

    name: str
    control_plane: str
    kubeconfig: str
    audit_log: str
    nodes: list[NodeView]


def read_status(cluster: Cluster) -> LabStatus:
    """Ask the machines and, where it answers, the API server."""
    conditions = _ready_conditions(cluster)
    running = machines.first_process(network.netns(cluster.name, CONTROL_PLANE))
    return LabStatus(
        name=cluster.name,
        control_plane="on" if running else "off",
        kubeconfig=str(cluster.files.kubeconfig),
        audit_log=str(cluster.files.audit_log),
        nodes=[_view(cluster, name, conditions.get(name, _NO_ANSWER)) for name in cluster.record.nodes],
    )


def _view(cluster: Cluster, name: str, ready: str) -> NodeView:
    record = cluster.node(name)
    groups = enumerate(cluster.record.partitions, start=1)
    return NodeView(
        name=name,
        kind=record.spec.kind,
        power="on" if cluster.is_on(name) else "off",
        ready=ready,
        address=str(cluster.record.addresses.node(record.number)),
        link=str(record.spec.shape) if record.spec.shape else None,
        cpu=record.spec.cpu,
        site=record.spec.site,
        partition=next((number for number, group in groups if name in group), None),
        offline=name in cluster.record.offline,
        cuts=[str(cut) for cut in cluster.record.cuts if name in (cut.node, cut.peer)],
    )


def _ready_conditions(cluster: Cluster) -> dict[str, str]:
    try:
        listed = cluster.api.request("GET", "/api/v1/nodes")
    except (OSError, ApiError):
        return {}
    return {item["metadata"]["name"]: _ready(item) for item in listed["items"]}


def _ready(node: Json) -> str:
    conditions = node.get("status", {}).get("conditions", [])
    return next((str(c["status"]) for c in conditions if c["type"] == "Ready"), _NO_ANSWER)
