"""KubeEdge's half in the cloud: a machine of its own beside the control plane, started for the first node."""

import base64
import json
import time
from collections.abc import Callable
from pathlib import Path

from edgelab import machines, network
from edgelab.addresses import Block
from edgelab.api import Api, ApiError, Json
from edgelab.cluster import Cluster
from edgelab.config import CLOUDCORE
from edgelab.errors import LabError
from edgelab.hosts import write_hosts
from edgelab.init import Machine, Process
from edgelab.kubeconfig import write_kubeconfig
from edgelab.pki import Pair
from edgelab.state import LabFiles

WEBSOCKET_PORT, HTTPS_PORT = 10000, 10002
_DEFINITIONS = "/apis/apiextensions.k8s.io/v1/customresourcedefinitions"
_TOKEN = "/api/v1/namespaces/kubeedge/secrets/tokensecret"
# It waits up to ten seconds by itself, as one of several would that must agree on ports.
_START_SECONDS = 60.0
_POLL_SECONDS = 0.1


def ensure_running(cluster: Cluster, program: Path, say: Callable[[str], None]) -> None:
    """Start it where it does not run, and wait until it lets nodes join.

    Raises:
        LabError: it does not come up; the text says where its log is.
    """
    namespace, files = network.netns(cluster.name, CLOUDCORE), cluster.files
    if machines.first_process(namespace):
        return
    say("starting cloudcore")
    api, block = cluster.api, cluster.record.addresses
    network.add_cloudcore(cluster.name, block)
    for kind, scope in (("ObjectSync", "Namespaced"), ("ClusterObjectSync", "Cluster")):
        _define(api, definition(kind, scope))
    machines.start(namespace, files.cloudcore, _prepare(files, block, program))
    deadline = time.monotonic() + _START_SECONDS
    while not _has_token(api):
        if time.monotonic() > deadline:
            raise LabError(f"cloudcore did not start: see {files.cloudcore / 'cloudcore.log'}")
        time.sleep(_POLL_SECONDS)


def join_token(api: Api) -> str:
    """What a new node shows to be let in.

    Raises:
        ApiError: cloudcore has made none yet.
    """
    return base64.b64decode(api.request("GET", _TOKEN)["data"]["tokendata"]).decode()


def definition(kind: str, scope: str) -> Json:
    """The CRD of what cloudcore notes about an object that it has sent to a node; unknown fields are kept."""
    singular, schema = kind.lower(), {"type": "object", "x-kubernetes-preserve-unknown-fields": True}
    called = {"kind": kind, "listKind": f"{kind}List", "plural": f"{singular}s", "singular": singular}
    version = {"name": "v1alpha1", "served": True, "storage": True, "subresources": {"status": {}}}
    return {
        "apiVersion": "apiextensions.k8s.io/v1",
        "kind": "CustomResourceDefinition",
        "metadata": {"name": f"{singular}s.reliablesyncs.kubeedge.io"},
        "spec": {
            "group": "reliablesyncs.kubeedge.io",
            "scope": scope,
            "names": called,
            "versions": [version | {"schema": {"openAPIV3Schema": schema}}],
        },
    }


def _define(api: Api, wanted: Json) -> None:
    try:
        api.request("POST", _DEFINITIONS, wanted)
    except ApiError as refused:
        if refused.status != 409:
            raise


def _prepare(files: LabFiles, block: Block, program: Path) -> Machine:
    files.cloudcore.mkdir(parents=True, exist_ok=True)
    pair = files.authority.issue(Pair.at(files.pki, "cloudcore"), "cloudcore", ["system:masters"])
    kubeconfig, configuration = files.cloudcore / "kubeconfig", files.cloudcore / "cloudcore.yaml"
    write_kubeconfig(kubeconfig, str(block.control_plane), files.authority.files, pair)
    write_hosts(files.cloudcore / "hosts", CLOUDCORE, str(block.cloudcore))
    configuration.write_text(json.dumps(_cloudcore(files, block, kubeconfig)))
    return Machine(
        hostname=CLOUDCORE,
        log_directory=str(files.cloudcore),
        hosts=str(files.cloudcore / "hosts"),
        processes=[Process("cloudcore", [str(program), f"--config={configuration}"])],
    )


def _cloudcore(files: LabFiles, block: Block, kubeconfig: Path) -> Json:
    return {
        "apiVersion": "cloudcore.config.kubeedge.io/v1alpha1",
        "kind": "CloudCore",
        "kubeAPIConfig": {"kubeConfig": str(kubeconfig)},
        "modules": {
            "cloudHub": _cloud_hub(files.cloudcore, str(block.cloudcore)),
            "deviceController": {"enable": False},
            "iptablesManager": {"enable": False},
        },
    }


def _cloud_hub(directory: Path, address: str) -> Json:
    # No files are there: it makes its own authority, and keeps it in Secrets.
    files = ("tlsCAFile", "tlsCAKeyFile", "tlsCertFile", "tlsPrivateKeyFile")
    return {name: str(directory / name) for name in files} | {
        "advertiseAddress": [address],
        "nodeLimit": 100,
        "https": {"enable": True, "address": "0.0.0.0", "port": HTTPS_PORT},
        "websocket": {"enable": True, "address": "0.0.0.0", "port": WEBSOCKET_PORT},
        # For storage drivers. Its directory is made though it is off: by default in this machine's own /var.
        "unixsocket": {"enable": False, "address": f"unix://{directory}/csi.sock"},
    }


def _has_token(api: Api) -> bool:
    try:
        join_token(api)
    except ApiError:
        return False
    return True
