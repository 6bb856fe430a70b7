"""Kueue's controller as a process: what it is told, and whether it is ready."""

import urllib.request
from pathlib import Path

from edgelab.api import Json

NAMESPACE = "kueue-system"
_SERVICE, _SECRET = "kueue-webhook-service", "kueue-webhook-server-cert"


def configuration(certificates: Path, webhook_port: int, health_port: int) -> Json:
    """Of its controller, alone, with nothing of other kinds than its own and Jobs."""
    return {
        "apiVersion": "config.kueue.x-k8s.io/v1beta2",
        "kind": "Configuration",
        "namespace": NAMESPACE,
        "health": {"healthProbeBindAddress": f":{health_port}"},
        "metrics": {"bindAddress": "0"},
        "webhook": {"port": webhook_port, "certDir": str(certificates)},
        "leaderElection": {"leaderElect": False},
        "internalCertManagement": {
            "enable": True,
            "webhookServiceName": _SERVICE,
            "webhookSecretName": _SECRET,
        },
        "featureGates": {"VisibilityOnDemand": False},
        "integrations": {"frameworks": ["batch/job"]},
    }


def is_ready(address: str, health_port: int) -> bool:
    """Whether a controller there says so."""
    try:
        with urllib.request.urlopen(f"http://{address}:{health_port}/readyz", timeout=1) as answer:
            return bool(answer.status == 200)
    except OSError:
        return False
