"""Pods for tests in the lab, and waiting for them."""

import json
from typing import Any

from edgelab.lab import Lab

Json = dict[str, Any]

TRAINER_IMAGE = "edgetrain/trainer:dev"


def restricted_pod(name: str, node: str | None, program: str, *, volumes: Json | None = None) -> Json:
    """A pod that passes `restricted` and runs a Python program as its only container, `main`.

    `volumes` maps mount paths to volume sources. /tmp is an emptyDir.
    """
    sources: Json = {"/tmp": {"emptyDir": {}}} | (volumes or {})
    named = [(f"v{number}", path, source) for number, (path, source) in enumerate(sources.items())]
    container = {
        "name": "main",
        "image": TRAINER_IMAGE,
        "command": ["python", "-c", program],
        "volumeMounts": [{"name": volume, "mountPath": path} for volume, path, _ in named],
        "securityContext": {
            "allowPrivilegeEscalation": False,
            "readOnlyRootFilesystem": True,
            "capabilities": {"drop": ["ALL"]},
        },
    }
    spec: Json = {
        "containers": [container],
        "volumes": [{"name": volume} | source for volume, _, source in named],
        "securityContext": {"runAsNonRoot": True, "seccompProfile": {"type": "RuntimeDefault"}},
        "terminationGracePeriodSeconds": 1,
        "tolerations": [{"operator": "Exists"}],
    }
    if node:
        spec["nodeSelector"] = {"kubernetes.io/hostname": node}
    metadata = {"name": name, "labels": {"app": name}}
    return {"apiVersion": "v1", "kind": "Pod", "metadata": metadata, "spec": spec}


def apply(lab: Lab, namespace: str, *manifests: Json) -> None:
    """Create or change objects in a namespace."""
    lab.kubectl("-n", namespace, "apply", "-f", "-", stdin="\n---\n".join(map(json.dumps, manifests)))


def get(lab: Lab, namespace: str, kind: str, name: str) -> Json:
    """An object as it is now."""
    return dict(json.loads(lab.kubectl("-n", namespace, "get", kind, name, "-o", "json")))


def suspend(lab: Lab, namespace: str, name: str, value: bool) -> None:
    """Suspend a job, or let it go on."""
    body = json.dumps({"spec": {"suspend": value}})
    lab.kubectl("-n", namespace, "patch", "etj", name, "--type=merge", "-p", body)


def wait_running(lab: Lab, namespace: str, pod: str, seconds: float = 30.0) -> Json:
    """The pod, once its containers are ready."""
    lab.kubectl("-n", namespace, "wait", "--for=condition=Ready", f"pod/{pod}", f"--timeout={seconds:g}s")
    return get(lab, namespace, "pod", pod)
