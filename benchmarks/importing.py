"""What importing torch alone takes a pod: the share of a start that is not ours."""

import json
from typing import Any

from benchmarks.bed import Bed
from edgelab.config import NodeSpec
from edgelab.images import TRAINER_IMAGE

IMPORT = "import time; t = time.monotonic(); import torch; print(time.monotonic() - t)"


def import_seconds(test: Bed, cpu: float | None) -> float:
    """Seconds that a pod on a new node with so many cores takes, beside whatever else runs."""
    node, pod = "importer", ("-n", test.namespace, "pod/importer")
    test.lab.node_add(NodeSpec(name=node, link="50mbit", cpu=cpu, kind="cloud"))
    try:
        test.lab.kubectl("-n", test.namespace, "apply", "-f", "-", stdin=json.dumps(importer(node)))
        test.lab.kubectl(
            "wait", *pod, "--for=jsonpath={.status.phase}=Succeeded", "--timeout=60s", timeout=70
        )
        seconds = float(test.lab.kubectl("logs", *pod))
        test.lab.kubectl("delete", *pod)
        return seconds
    finally:
        test.lab.node_remove(node)


def importer(node: str) -> dict[str, Any]:
    """A pod of the trainer's image that imports torch and says how long it took."""
    container = {
        "name": "main",
        "image": TRAINER_IMAGE,
        "command": ["python", "-c", IMPORT],
        "securityContext": {"allowPrivilegeEscalation": False, "capabilities": {"drop": ["ALL"]}},
    }
    security = {"runAsNonRoot": True, "seccompProfile": {"type": "RuntimeDefault"}}
    spec = {
        "containers": [container],
        "nodeSelector": {"kubernetes.io/hostname": node},
        "tolerations": [{"operator": "Exists"}],
        "restartPolicy": "Never",
        "securityContext": security,
    }
    return {"apiVersion": "v1", "kind": "Pod", "metadata": {"name": "importer"}, "spec": spec}
