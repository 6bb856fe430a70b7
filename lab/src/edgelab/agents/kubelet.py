"""A plain node: kubelet, and kube-proxy for Services."""

import json
from pathlib import Path

from edgelab.agents.agent import BIN, ETC, NodeSetup, kubelet_settings
from edgelab.api import Json
from edgelab.init import Process
from edgelab.kubeconfig import write_kubeconfig
from edgelab.pki import Pair


class Kubelet:
    """Kubernetes' own, authenticated by certificates of the lab's authority."""

    name = "kubelet"
    programs = ("kubelet", "kube-proxy")

    def prepare(self, setup: NodeSetup, etc: Path) -> None:
        _write_credentials(setup, etc)
        (etc / "kubelet.json").write_text(json.dumps(_kubelet(setup)))
        (etc / "kube-proxy.json").write_text(json.dumps(_kube_proxy(setup)))

    def processes(self, setup: NodeSetup) -> list[Process]:
        name = f"--hostname-override={setup.spec.name}"
        kubelet = [f"{BIN}/kubelet", f"--config={ETC}/kubelet.json", f"--kubeconfig={ETC}/kubelet.kubeconfig"]
        kubelet += [name, f"--node-ip={setup.address}"]
        proxy = [f"{BIN}/kube-proxy", f"--config={ETC}/kube-proxy.json", name]
        return [Process("kube-proxy", proxy), Process("kubelet", kubelet)]


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


def _kubelet(setup: NodeSetup) -> Json:
    own = {
        "apiVersion": "kubelet.config.k8s.io/v1beta1",
        "kind": "KubeletConfiguration",
        "tlsCertFile": f"{ETC}/kubelet.crt",
        "tlsPrivateKeyFile": f"{ETC}/kubelet.key",
        "authentication": {"anonymous": {"enabled": False}, "x509": {"clientCAFile": f"{ETC}/ca.crt"}},
        "authorization": {"mode": "Webhook"},
    }
    return own | kubelet_settings(setup)


def _kube_proxy(setup: NodeSetup) -> Json:
    return {
        "apiVersion": "kubeproxy.config.k8s.io/v1alpha1",
        "kind": "KubeProxyConfiguration",
        "clientConnection": {"kubeconfig": f"{ETC}/kube-proxy.kubeconfig"},
        "mode": "nftables",
        "clusterCIDR": str(setup.block.network),
        "conntrack": {"maxPerCore": 0},
        "metricsBindAddress": "127.0.0.1:10249",
    }
