"""The operator and the example, put into a lab as a person would put them into a cluster."""

import json
from pathlib import Path

from edgelab.lab import Lab

REPOSITORY = Path(__file__).resolve().parents[4]
CHART = REPOSITORY / "charts" / "edgetrain"
EXAMPLE = REPOSITORY / "examples" / "digits.yaml"
OPERATOR_NAMESPACE = "edgetrain-system"
FLEET_NODE_PORT = 30843


def fleet_address(lab: Lab, node: str) -> str:
    """host:port of the fleet API: a NodePort, since edge nodes reach nodes and not cluster DNS."""
    return f"{lab.address(node)}:{FLEET_NODE_PORT}"


def make_namespace(lab: Lab, name: str) -> None:
    """A namespace for jobs, which enforces the `restricted` Pod Security standard."""
    lab.kubectl("create", "namespace", name)
    lab.kubectl("label", "namespace", name, "pod-security.kubernetes.io/enforce=restricted")


def install_operator(lab: Lab, node: str, *, replicas: int = 1, chart: Path = CHART) -> str:
    """`helm install` with the operator on cloud nodes; returns the fleet API's address.

    `node` is the one whose address the workers dial.

    Raises:
        LabError: helm refused, or the operator is not ready within two minutes.
    """
    address = fleet_address(lab, node)
    values = {
        "replicaCount": replicas,
        "fleet": {
            "address": address,
            "service": {"type": "NodePort", "nodePort": FLEET_NODE_PORT},
        },
        "nodeSelector": {"node-role.kubernetes.io/cloud": ""},
    }
    sets = [word for key, value in values.items() for word in ("--set-json", f"{key}={json.dumps(value)}")]
    lab.helm(
        *("install", "edgetrain", chart, "--namespace", OPERATOR_NAMESPACE, "--create-namespace"),
        *("--wait", "--timeout", "2m"),
        *sets,
        timeout=130,
    )
    return address


def upgrade_operator(lab: Lab, *options: str, chart: Path = CHART) -> None:
    """`helm upgrade` with these options beside the values that it has; returns when all replicas are Ready.

    Raises:
        LabError: helm refused, or they are not within a minute and a half.
    """
    lab.helm(
        *("upgrade", "edgetrain", chart, "--namespace", OPERATOR_NAMESPACE, "--reset-then-reuse-values"),
        *("--wait", "--timeout", "90s"),
        *options,
    )
