"""A node of the lab: containerd, kubelet and kube-proxy, configured as on a machine of their own."""

import json
import shutil
from dataclasses import dataclass
from pathlib import Path

from edgelab import cgroups
from edgelab.addresses import Block
from edgelab.config import NodeSpec
from edgelab.errors import LabError
from edgelab.images import ARCHIVE, PAUSE_IMAGE, ThinImages
from edgelab.init import Machine, Process
from edgelab.kubeconfig import write_kubeconfig
from edgelab.pki import Pair
from edgelab.programs.acquire import Programs
from edgelab.state import LabFiles, NodeRecord

_ETC = "/run/edgelab/etc"
_BIN = "/run/edgelab/bin"
_IMAGES = "/run/edgelab/images"
_SOCKET = "/run/containerd/containerd.sock"
_CNI_PLACES = ("/usr/lib/cni", "/opt/cni/bin", "/usr/libexec/cni")
_LEASE_SECONDS = 4


@dataclass(frozen=True)
class NodeSetup:
    """All that a node's configuration follows from."""

    files: LabFiles
    lab: str
    block: Block
    record: NodeRecord
    programs: Programs
    images: ThinImages

    @property
    def spec(self) -> NodeSpec:
        return self.record.spec

    @property
    def address(self) -> str:
        return str(self.block.node(self.record.number))


def prepare(setup: NodeSetup, daemon_groups: list[Path]) -> Machine:
    """Write certificates and configuration, and say what the machine shall run."""
    own = setup.files.node(setup.spec.name)
    own.make()
    _write_credentials(setup, own.etc)
    (own.etc / "containerd.toml").write_text(_CONTAINERD.format(pause=PAUSE_IMAGE, cni=cni_plugins()))
    (own.etc / "runtime-spec.json").write_text(json.dumps(setup.images.runtime_spec))
    (own.etc / "cni").mkdir(exist_ok=True)
    (own.etc / "cni" / "10-lab.conflist").write_text(json.dumps(_cni(setup)))
    (own.etc / "kubelet.json").write_text(json.dumps(_kubelet(setup)))
    (own.etc / "kube-proxy.json").write_text(json.dumps(_kube_proxy(setup)))
    binds = {"edgelab/etc": own.etc, "edgelab/log": own.logs, "edgelab/images": setup.files.images}
    binds |= {f"edgelab/bin/{name}": setup.programs[name] for name in ("kubelet", "kube-proxy")}
    binds |= setup.images.binds
    return Machine(
        hostname=setup.spec.name,
        log_directory="/run/edgelab/log",
        processes=_processes(setup),
        run=str(own.run),
        var=str(own.var),
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


def _processes(setup: NodeSetup) -> list[Process]:
    kubelet = [f"{_BIN}/kubelet", f"--config={_ETC}/kubelet.json", f"--kubeconfig={_ETC}/kubelet.kubeconfig"]
    kubelet += [f"--hostname-override={setup.spec.name}", f"--node-ip={setup.address}"]
    proxy = [
        f"{_BIN}/kube-proxy",
        f"--config={_ETC}/kube-proxy.json",
        f"--hostname-override={setup.spec.name}",
    ]
    load = [_path("ctr"), "--namespace=k8s.io", "images", "import", f"{_IMAGES}/{ARCHIVE}"]
    return [
        Process("containerd", [_path("containerd"), f"--config={_ETC}/containerd.toml"]),
        Process("kube-proxy", proxy),
        Process("images", load, needs=[_SOCKET], once=True),
        Process("kubelet", kubelet),
    ]


def _write_credentials(setup: NodeSetup, etc: Path) -> None:
    name, authority = setup.spec.name, setup.files.authority
    (etc / "ca.crt").write_bytes(authority.files.certificate.read_bytes())
    if (etc / "kubelet.kubeconfig").exists():
        return
    pair = Pair.at(etc, "kubelet")
    authority.issue(pair, f"system:node:{name}", ["system:nodes"], hosts=[name, setup.address])
    server = str(setup.block.control_plane)
    write_kubeconfig(etc / "kubelet.kubeconfig", server, authority.files, pair)
    proxy = authority.issue(Pair.at(etc, "kube-proxy"), "system:kube-proxy")
    write_kubeconfig(etc / "kube-proxy.kubeconfig", server, authority.files, proxy)


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


def _kubelet(setup: NodeSetup) -> dict[str, object]:
    return {
        "apiVersion": "kubelet.config.k8s.io/v1beta1",
        "kind": "KubeletConfiguration",
        "containerRuntimeEndpoint": f"unix://{_SOCKET}",
        "failCgroupV1": False,
        "cgroupDriver": "cgroupfs",
        "cgroupRoot": cgroups.pods_group(setup.lab, setup.spec.name),
        "enforceNodeAllocatable": [],
        # With cgroup v1 a pod's quota may not exceed that of the node above it.
        "cpuCFSQuota": setup.spec.cpu is None,
        "failSwapOn": False,
        "resolvConf": "",
        "tlsCertFile": f"{_ETC}/kubelet.crt",
        "tlsPrivateKeyFile": f"{_ETC}/kubelet.key",
        "authentication": {"anonymous": {"enabled": False}, "x509": {"clientCAFile": f"{_ETC}/ca.crt"}},
        "authorization": {"mode": "Webhook"},
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


def _kube_proxy(setup: NodeSetup) -> dict[str, object]:
    return {
        "apiVersion": "kubeproxy.config.k8s.io/v1alpha1",
        "kind": "KubeProxyConfiguration",
        "clientConnection": {"kubeconfig": f"{_ETC}/kube-proxy.kubeconfig"},
        "mode": "nftables",
        "clusterCIDR": str(setup.block.network),
        "conntrack": {"maxPerCore": 0},
        "metricsBindAddress": "127.0.0.1:10249",
    }
