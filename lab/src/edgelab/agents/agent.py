"""The interface of a node's agent, and all that its configuration follows from."""

from dataclasses import dataclass
from pathlib import Path
from typing import Protocol

from edgelab import cgroups
from edgelab.addresses import Block
from edgelab.api import Api, Json
from edgelab.config import NodeSpec
from edgelab.images import ThinImages
from edgelab.init import Process
from edgelab.programs.acquire import Programs
from edgelab.state import LabFiles, NodeRecord

ETC = "/run/edgelab/etc"
BIN = "/run/edgelab/bin"
SOCKET = "/run/containerd/containerd.sock"
_LEASE_SECONDS = 4


@dataclass(frozen=True)
class NodeSetup:
    """A node of a lab that is up."""

    files: LabFiles
    lab: str
    block: Block
    record: NodeRecord
    programs: Programs
    images: ThinImages
    api: Api

    @property
    def spec(self) -> NodeSpec:
        return self.record.spec

    @property
    def address(self) -> str:
        return str(self.block.node(self.record.number))


class Agent(Protocol):
    """Joins a node to the cluster and runs its pods on the node's containerd."""

    @property
    def name(self) -> str:
        """Of its main process, and so of its log."""

    @property
    def programs(self) -> tuple[str, ...]:
        """What it runs, by the names that the lab's programs have. They are found below BIN."""

    def prepare(self, setup: NodeSetup, etc: Path) -> None:
        """Write credentials and configuration into `etc`, which the node sees as ETC, at every start anew."""

    def processes(self, setup: NodeSetup) -> list[Process]:
        """What the node runs beside containerd, which is there already with all images in it."""


def kubelet_settings(setup: NodeSetup) -> Json:
    """The part of a kubelet's configuration that has the same names in both agents."""
    return {
        "containerRuntimeEndpoint": f"unix://{SOCKET}",
        "failCgroupV1": False,
        "cgroupDriver": "cgroupfs",
        "cgroupRoot": cgroups.pods_group(setup.lab, setup.spec.name),
        "enforceNodeAllocatable": [],
        # With cgroup v1 a pod's quota may not exceed that of the node above it.
        "cpuCFSQuota": setup.spec.cpu is None,
        "failSwapOn": False,
        "resolvConf": "",
        # The lease is renewed each quarter of this: a dark node shows after the controllers' grace.
        "nodeLeaseDurationSeconds": _LEASE_SECONDS,
        "nodeStatusUpdateFrequency": "2s",
        "nodeStatusReportFrequency": "1m",
        "syncFrequency": "10s",
        # No image can be pulled again, and a full disk is the developer's, not the node's.
        "imageGCHighThresholdPercent": 100,
        "imageGCLowThresholdPercent": 99,
        "evictionHard": {"memory.available": "50Mi", "nodefs.available": "1%", "imagefs.available": "1%"},
        "registryPullQPS": 0,
        "eventRecordQPS": 0,
    }
