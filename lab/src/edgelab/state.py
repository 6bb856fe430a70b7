"""Where a lab keeps its files, and the little that it remembers."""

import fcntl
import json
import os
import shutil
from collections.abc import Collection, Iterator
from contextlib import contextmanager
from dataclasses import dataclass
from pathlib import Path

from pydantic import BaseModel, Field

from edgelab.addresses import MAX_NODES, Block
from edgelab.barriers import Cut
from edgelab.config import NodeSpec
from edgelab.errors import LabError
from edgelab.pki import Authority, Pair


class NodeRecord(BaseModel):
    """A node of the lab; `number` tells its addresses."""

    number: int
    spec: NodeSpec


class LabRecord(BaseModel):
    """What a lab remembers. `ready` is set last: without it the lab is a torso of an interrupted `up`."""

    block: int
    programs: dict[str, Path]
    node_monitor_grace: float
    ready: bool = False
    nodes: dict[str, NodeRecord] = Field(default_factory=dict)
    partitions: list[list[str]] = Field(default_factory=list)
    offline: list[str] = Field(default_factory=list)
    cuts: list[Cut] = Field(default_factory=list)

    @property
    def addresses(self) -> Block:
        return Block(self.block)

    def is_cut_off(self, name: str) -> bool:
        """Whether a node cannot reach the control plane."""
        return name in self.offline or any(name in group for group in self.partitions)

    def leave_partitions(self, names: Collection[str]) -> None:
        groups = [[name for name in group if name not in names] for group in self.partitions]
        self.partitions = [group for group in groups if group]

    def reconnect(self, names: Collection[str]) -> None:
        """Nothing cuts these nodes off any more."""
        self.leave_partitions(names)
        self.offline = [name for name in self.offline if name not in names]
        self.cuts = [cut for cut in self.cuts if cut.node not in names and cut.peer not in names]

    def free_number(self) -> int:
        """The lowest number that no node holds.

        Raises:
            LabError: all are held.
        """
        held = {node.number for node in self.nodes.values()}
        for number in range(1, MAX_NODES + 1):
            if number not in held:
                return number
        raise LabError(f"the lab holds {MAX_NODES} nodes, no more have addresses: remove one")


@dataclass(frozen=True)
class NodeFiles:
    """A node's directories. `var` is what the node sees as /var."""

    root: Path

    @property
    def var(self) -> Path:
        return self.root / "var"

    @property
    def run(self) -> Path:
        return self.root / "run"

    @property
    def etc(self) -> Path:
        return self.root / "etc"

    @property
    def logs(self) -> Path:
        """Of the node's own programs: kubelet, containerd, kube-proxy."""
        return self.root / "log"

    @property
    def pod_logs(self) -> Path:
        """One directory for each pod, as the kubelet lays them out."""
        return self.root / "var" / "log" / "pods"

    @property
    def volumes(self) -> Path:
        return self.root / "var" / "volumes"

    def make(self) -> None:
        for directory in (self.var, self.run, self.etc, self.logs, self.volumes):
            directory.mkdir(parents=True, exist_ok=True)


@dataclass(frozen=True)
class LabFiles:
    """A lab's directories below `root`."""

    root: Path

    @staticmethod
    def of(name: str) -> "LabFiles":
        return LabFiles(Path(os.environ.get("EDGELAB_STATE", "/var/lib/edgelab")) / name)

    @property
    def record(self) -> Path:
        return self.root / "lab.json"

    @property
    def kubeconfig(self) -> Path:
        return self.root / "kubeconfig"

    @property
    def pki(self) -> Path:
        return self.root / "pki"

    @property
    def control_plane(self) -> Path:
        return self.root / "control-plane"

    @property
    def cloudcore(self) -> Path:
        return self.root / "cloudcore"

    @property
    def audit_log(self) -> Path:
        return self.control_plane / "audit.log"

    @property
    def images(self) -> Path:
        return self.root / "images"

    @property
    def real_images(self) -> Path:
        """What each node's containerd begins with, where the lab runs real images."""
        return self.images / "containerd"

    @property
    def authority(self) -> Authority:
        return Authority(Pair.at(self.pki, "ca"))

    @property
    def admin(self) -> Pair:
        return Pair.at(self.pki, "admin")

    def node(self, name: str) -> NodeFiles:
        return NodeFiles(self.root / "nodes" / name)

    def load(self) -> LabRecord | None:
        """The lab's record; None where there is no lab, or only a torn one."""
        try:
            return LabRecord.model_validate(json.loads(self.record.read_text()))
        except (OSError, ValueError):
            return None

    def save(self, record: LabRecord) -> None:
        # Renamed into place: a reader, or a crash, meets the old record or the new one.
        draft = self.record.with_suffix(".new")
        draft.write_text(record.model_dump_json(indent=1))
        draft.replace(self.record)

    def erase(self) -> None:
        shutil.rmtree(self.root, ignore_errors=True)

    @contextmanager
    def locked(self) -> Iterator[None]:
        """Hold off other commands on the same lab. The lock lies beside the directory that `down` removes."""
        self.root.parent.mkdir(parents=True, exist_ok=True)
        path = self.root.with_name(f".{self.root.name}.lock")
        while True:
            with path.open("w") as held:
                fcntl.flock(held, fcntl.LOCK_EX)
                # The one that held it before may have removed the file that was waited for.
                if not path.exists() or path.stat().st_ino != os.fstat(held.fileno()).st_ino:
                    continue
                try:
                    yield
                finally:
                    path.unlink()
                return
