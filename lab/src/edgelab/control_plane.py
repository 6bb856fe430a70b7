"""The lab's control plane: etcd, API server, controllers, scheduler and provisioner as one machine.

All of the API's own defences are on: Node and RBAC authorisation, NodeRestriction, Pod Security admission,
service accounts. What is switched off (fsync, leader election) has no meaning for one that is thrown away.
"""

import json
import sys
from pathlib import Path

from edgelab.addresses import Block
from edgelab.api import PORT
from edgelab.config import CONTROL_PLANE
from edgelab.init import Machine, Process
from edgelab.kubeconfig import write_kubeconfig
from edgelab.pki import Authority, Pair, create_signing_key
from edgelab.programs.acquire import Programs
from edgelab.state import LabFiles

_ETCD = "http://127.0.0.1:2379"
_AUDIT_POLICY = {
    "apiVersion": "audit.k8s.io/v1",
    "kind": "Policy",
    "omitStages": ["RequestReceived"],
    "rules": [{"level": "Metadata"}],
}


def prepare(files: LabFiles, block: Block, programs: Programs, node_monitor_grace: float) -> Machine:
    """Write certificates and configuration, and say what the machine shall run."""
    files.control_plane.mkdir(parents=True, exist_ok=True)
    logs = files.control_plane / "log"
    logs.mkdir(exist_ok=True)
    _write_credentials(files, block)
    (files.control_plane / "audit-policy.json").write_text(json.dumps(_AUDIT_POLICY))
    api = [f"tcp:{block.control_plane}:{PORT}"]
    controllers = _controllers(files, programs, node_monitor_grace)
    return Machine(
        hostname=CONTROL_PLANE,
        log_directory=str(logs),
        processes=[
            Process("etcd", _etcd(files, programs)),
            Process("kube-apiserver", _api_server(files, block, programs)),
            Process("kube-controller-manager", controllers, needs=api),
            Process("kube-scheduler", _scheduler(files, programs), needs=api),
            Process("provisioner", [sys.executable, "-m", "edgelab.provisioner", str(files.root)], needs=api),
        ],
    )


def _write_credentials(files: LabFiles, block: Block) -> None:
    authority = Authority.create(files.pki)
    address = str(block.control_plane)
    hosts = [address, str(block.services[1]), "127.0.0.1", "localhost", "kubernetes", "kubernetes.default"]
    hosts += ["kubernetes.default.svc", "kubernetes.default.svc.cluster.local"]
    authority.issue(Pair.at(files.pki, "apiserver"), "kube-apiserver", hosts=hosts)
    authority.issue(Pair.at(files.pki, "kubelet-client"), "kube-apiserver-kubelet-client", ["system:masters"])
    create_signing_key(Pair.at(files.pki, "service-accounts"))
    users = {
        "admin": (files.kubeconfig, "admin", ["system:masters"]),
        "controllers": (files.pki / "controllers.kubeconfig", "system:kube-controller-manager", []),
        "scheduler": (files.pki / "scheduler.kubeconfig", "system:kube-scheduler", []),
    }
    for file, (kubeconfig, user, groups) in users.items():
        pair = authority.issue(Pair.at(files.pki, file), user, groups)
        write_kubeconfig(kubeconfig, address, authority.files, pair)


def _etcd(files: LabFiles, programs: Programs) -> list[str]:
    # Bound to loopback of a namespace that holds nothing else: plain HTTP is seen by nobody.
    return _argv(programs["etcd"], {
        "name": "lab",
        "data-dir": files.control_plane / "etcd",
        "listen-client-urls": _ETCD,
        "advertise-client-urls": _ETCD,
        "listen-peer-urls": "http://127.0.0.1:2380",
        "initial-advertise-peer-urls": "http://127.0.0.1:2380",
        "initial-cluster": "lab=http://127.0.0.1:2380",
        "unsafe-no-fsync": "true",
    })  # fmt: skip


def _api_server(files: LabFiles, block: Block, programs: Programs) -> list[str]:
    serving, kubelets = Pair.at(files.pki, "apiserver"), Pair.at(files.pki, "kubelet-client")
    accounts, ca = Pair.at(files.pki, "service-accounts"), files.authority.files.certificate
    return _argv(programs["kube-apiserver"], {
        "advertise-address": block.control_plane,
        "secure-port": PORT,
        "etcd-servers": _ETCD,
        "client-ca-file": ca,
        "tls-cert-file": serving.certificate,
        "tls-private-key-file": serving.key,
        "kubelet-certificate-authority": ca,
        "kubelet-client-certificate": kubelets.certificate,
        "kubelet-client-key": kubelets.key,
        # Without it `kubectl logs` looks the node's name up in a DNS that the lab has not.
        "kubelet-preferred-address-types": "InternalIP",
        "service-account-issuer": "https://kubernetes.default.svc",
        "service-account-key-file": accounts.certificate,
        "service-account-signing-key-file": accounts.key,
        "service-cluster-ip-range": block.services,
        # The control plane has no kube-proxy: webhooks are called at their endpoints.
        "enable-aggregator-routing": "true",
        "authorization-mode": "Node,RBAC",
        "enable-admission-plugins": "NodeRestriction",
        "allow-privileged": "true",
        "audit-policy-file": files.control_plane / "audit-policy.json",
        "audit-log-path": files.audit_log,
    })  # fmt: skip


def _controllers(files: LabFiles, programs: Programs, node_monitor_grace: float) -> list[str]:
    ca = files.authority.files
    return _argv(programs["kube-controller-manager"], {
        "kubeconfig": files.pki / "controllers.kubeconfig",
        "service-account-private-key-file": Pair.at(files.pki, "service-accounts").key,
        "root-ca-file": ca.certificate,
        "cluster-signing-cert-file": ca.certificate,
        "cluster-signing-key-file": ca.key,
        "use-service-account-credentials": "true",
        "leader-elect": "false",
        "bind-address": "127.0.0.1",
        "node-monitor-period": "1s",
        "node-monitor-grace-period": f"{node_monitor_grace:g}s",
    })  # fmt: skip


def _scheduler(files: LabFiles, programs: Programs) -> list[str]:
    return _argv(programs["kube-scheduler"], {
        "kubeconfig": files.pki / "scheduler.kubeconfig",
        "leader-elect": "false",
        "bind-address": "127.0.0.1",
    })  # fmt: skip


def _argv(program: Path, flags: dict[str, object]) -> list[str]:
    return [str(program), *(f"--{name}={value}" for name, value in flags.items())]
