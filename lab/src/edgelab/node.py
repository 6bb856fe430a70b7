"""A node of the lab: containerd and the agent that runs its pods, configured as on a machine of their own."""

import json
import shutil
from pathlib import Path

from edgelab.agents import AGENTS
from edgelab.agents.agent import ETC, SOCKET, NodeSetup
from edgelab.config import NodeSpec
from edgelab.errors import LabError
from edgelab.hosts import write_hosts
from edgelab.images import ARCHIVE, PAUSE_IMAGE
from edgelab.init import Machine, Process

_IMAGES = "/run/edgelab/images"
_CNI_PLACES = ("/usr/lib/cni", "/opt/cni/bin", "/usr/libexec/cni")


def prepare(setup: NodeSetup, daemon_groups: list[Path]) -> Machine:
    """Write certificates and configuration, and say what the machine shall run."""
    own, agent = setup.files.node(setup.spec.name), AGENTS[setup.spec.kind]
    own.make()
    (own.etc / "containerd.toml").write_text(_CONTAINERD.format(pause=PAUSE_IMAGE, cni=cni_plugins()))
    (own.etc / "runtime-spec.json").write_text(json.dumps(setup.images.runtime_spec))
    (own.etc / "cni").mkdir(exist_ok=True)
    (own.etc / "cni" / "10-lab.conflist").write_text(json.dumps(_cni(setup)))
    write_hosts(own.etc / "hosts", setup.spec.name, setup.address)
    agent.prepare(setup, own.etc)
    binds = {"edgelab/etc": own.etc, "edgelab/log": own.logs, "edgelab/images": setup.files.images}
    binds |= {f"edgelab/bin/{name}": setup.programs[name] for name in agent.programs}
    binds |= setup.images.binds
    return Machine(
        hostname=setup.spec.name,
        log_directory="/run/edgelab/log",
        processes=[*_runtime(), *agent.processes(setup)],
        run=str(own.run),
        var=str(own.var),
        hosts=str(own.etc / "hosts"),
        binds={place: str(source) for place, source in binds.items()},
        sysctls={"net.ipv4.ip_forward": "1", "net.ipv4.conf.all.send_redirects": "0"},
        cgroups=list(map(str, daemon_groups)),
    )


def node_object(spec: NodeSpec) -> dict[str, object]:
    """The Node as an administrator makes it. A kubelet may not give itself the labels of a role."""
    return {"apiVersion": "v1", "kind": "Node", "metadata": {"name": spec.name, "labels": spec.node_labels()}}


def cni_plugins() -> str:
    """Directory of the network plugins, wherever this distribution keeps them."""
    return next((place for place in _CNI_PLACES if Path(place, "ptp").exists()), _CNI_PLACES[0])


def _path(command: str) -> str:
    found = shutil.which(command)
    if found is None:
        raise LabError(f"{command} is not installed: run `edgelab setup`")
    return found


def _runtime() -> list[Process]:
    load = [_path("ctr"), "--namespace=k8s.io", "images", "import", f"{_IMAGES}/{ARCHIVE}"]
    return [
        Process("containerd", [_path("containerd"), f"--config={ETC}/containerd.toml"]),
        Process("images", load, needs=[SOCKET], once=True),
    ]


# restrict_oom_score_adj: without CAP_SYS_RESOURCE no process may lower its own, and runc dies of trying.
_CONTAINERD = """
version = 2
root = "/var/lib/containerd"
state = "/run/containerd"
disabled_plugins = ["io.containerd.internal.v1.opt", "io.containerd.snapshotter.v1.aufs",
  "io.containerd.snapshotter.v1.btrfs", "io.containerd.snapshotter.v1.devmapper",
  "io.containerd.snapshotter.v1.zfs"]
[grpc]
  address = "/run/containerd/containerd.sock"
[plugins."io.containerd.grpc.v1.cri"]
  sandbox_image = "{pause}"
  restrict_oom_score_adj = true
  [plugins."io.containerd.grpc.v1.cri".cni]
    bin_dir = "{cni}"
    conf_dir = "/run/edgelab/etc/cni"
  [plugins."io.containerd.grpc.v1.cri".containerd.runtimes.runc]
    runtime_type = "io.containerd.runc.v2"
    base_runtime_spec = "/run/edgelab/etc/runtime-spec.json"
"""


def _cni(setup: NodeSetup) -> dict[str, object]:
    # ptp, not bridge: replies between two pods of a node pass the node's own routing, which a Service
    # needs to translate them back; over a bridge they would only with br_netfilter.
    ranges = [[{"subnet": str(setup.block.pods(setup.record.number))}]]
    ipam = {"type": "host-local", "dataDir": "/run/cni", "ranges": ranges, "routes": [{"dst": "0.0.0.0/0"}]}
    return {"cniVersion": "0.4.0", "name": "lab", "plugins": [{"type": "ptp", "ipam": ipam}]}
