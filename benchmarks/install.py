"""From `helm install` to the first committed step, with the real images loaded on all nodes."""

import os
import statistics
import sys
import time

from benchmarks.bed import CLOUD, Bed, bare_bed
from benchmarks.harness import Goal, Row, median_row, publish
from benchmarks.importing import import_seconds
from benchmarks.waiting import wait_for
from edgelab.config import NodeSpec
from edgelab.demo.install import OPERATOR_NAMESPACE, install_operator

REPEATS = int(os.environ.get("REPEATS", "3"))
NODES = [NodeSpec(name="edge-1", link="100mbit"), NodeSpec(name="edge-2", link="100mbit")]
"""As fast as the machine: what they take is what two cores take."""
CRD = "edgetrainingjobs.edgetrain.io"


def install_once(test: Bed, number: int) -> tuple[float, float]:
    """Seconds from `helm install` to the operator being Ready, and to the first committed step."""
    program = test.program_from_config_map("--epochs", "100000")
    began = time.time()
    install_operator(test.lab, CLOUD.name)
    ready = time.time() - began
    test.start(name=f"first-{number}", program=program, nodes={"min": len(test.nodes)})

    def first() -> float | None:
        return min((step.at for step in test.journal.read() if step.at > began), default=None)

    return ready, wait_for(first, 180, "the first committed step") - began


def uninstall(test: Bed) -> None:
    """Nothing of it stays, so that the next one begins as the first did."""
    test.end()
    test.lab.helm("uninstall", "edgetrain", "--namespace", OPERATOR_NAMESPACE, "--wait")
    test.lab.kubectl("delete", "namespace", OPERATOR_NAMESPACE, "--wait=true")
    test.lab.kubectl("delete", "crd", CRD, "--wait=true")


def main() -> int:
    measured, imports = [], []
    with bare_bed("install", NODES, images="real") as test:
        for number in range(REPEATS):
            measured.append(install_once(test, number))
            uninstall(test)
            imports.append(import_seconds(test, None))
    whole, importing = [first for _, first in measured], statistics.median(imports)
    rows = [
        median_row("helm install until the operator is Ready", [ready for ready, _ in measured], "s"),
        Row("import of torch alone", importing, "s", None, imports),
        median_row("helm install to the first committed step", whole, "s", Goal("<=", 60)),
        Row("of which torch's import", importing / statistics.median(whole), "ratio", None, imports),
    ]
    return 0 if publish("install", rows) else 1


if __name__ == "__main__":
    sys.exit(main())
