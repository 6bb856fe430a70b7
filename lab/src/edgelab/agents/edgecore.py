"""A KubeEdge node: edgecore, which reaches the cluster through cloudcore alone.

As on most such nodes there is no kube-proxy, so no Service's address: that would need the API server.
"""

import json
from pathlib import Path

from edgelab import cloudcore
from edgelab.agents.agent import BIN, ETC, SOCKET, NodeSetup, kubelet_settings
from edgelab.api import Json
from edgelab.images import PAUSE_IMAGE
from edgelab.init import Process

# Below /var, the node's disk: what it knows while it is offline, and after a restart.
_STATE = "/var/lib/kubeedge"


class Edgecore:
    """KubeEdge's, which cloudcore gives its certificate in exchange for a token."""

    name = "edgecore"
    programs = ("edgecore",)

    def prepare(self, setup: NodeSetup, etc: Path) -> None:
        # Edgecore writes its configuration anew, without the token, once it has its certificate.
        joined = (setup.files.node(setup.spec.name).var / "lib" / "kubeedge" / "edge.crt").exists()
        token = "" if joined else cloudcore.join_token(setup.api)
        path = etc / "edgecore.yaml"
        path.touch(mode=0o600)
        path.write_text(json.dumps(_edgecore(setup, token)))

    def processes(self, setup: NodeSetup) -> list[Process]:
        return [Process("edgecore", [f"{BIN}/edgecore", f"--config={ETC}/edgecore.yaml"])]


def _edgecore(setup: NodeSetup, token: str) -> Json:
    return {
        "apiVersion": "edgecore.config.kubeedge.io/v1alpha2",
        "kind": "EdgeCore",
        "database": {"dataSource": f"{_STATE}/edgecore.db"},
        "modules": {
            "edged": _edged(setup),
            "edgeHub": _edge_hub(str(setup.block.cloudcore), token),
            # Devices and messages between them are no part of the lab.
            "eventBus": {"enable": False},
            "deviceTwin": {"enable": False},
        },
    }


def _edged(setup: NodeSetup) -> Json:
    directories = {"staticPodPath": f"{_STATE}/manifests", "podLogsDir": "/var/log/pods"}
    endpoint = {"imageServiceEndpoint": f"unix://{SOCKET}"}
    return {
        "enable": True,
        "hostnameOverride": setup.spec.name,
        "nodeIP": setup.address,
        "rootDirectory": "/var/lib/kubelet",
        "podSandboxImage": PAUSE_IMAGE,
        "tailoredKubeletConfig": kubelet_settings(setup) | directories | endpoint,
    }


def _edge_hub(cloud: str, token: str) -> Json:
    return {
        "enable": True,
        "token": token,
        "httpServer": f"https://{cloud}:{cloudcore.HTTPS_PORT}",
        "websocket": {"enable": True, "server": f"{cloud}:{cloudcore.WEBSOCKET_PORT}"},
        "tlsCaFile": f"{_STATE}/ca.crt",
        "tlsCertFile": f"{_STATE}/edge.crt",
        "tlsPrivateKeyFile": f"{_STATE}/edge.key",
    }
