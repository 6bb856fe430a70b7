"""A node joins: from its Ready to the first committed step with it, and how long the others stood still."""

import itertools
import os
import statistics
import sys
import time

from benchmarks.bed import Bed, bed, edges
from benchmarks.harness import Goal, Row, median_row, publish
from benchmarks.importing import import_seconds
from benchmarks.steps import Step
from benchmarks.waiting import wait_for
from edgelab.config import NodeSpec

REPEATS = int(os.environ.get("REPEATS", "3"))
NODES = edges("50mbit", "50mbit", "50mbit", "50mbit", cpus=[0.25] * 4)
CPU = 0.8
"""Of the newcomer. Quotas hold for pods; what is left of two cores is for what the lab itself does."""


def ready_at(test: Bed, node: str) -> float:
    """When the node became Ready, to the second that Kubernetes keeps."""
    path = '{.status.conditions[?(@.type=="Ready")].lastTransitionTime}'
    text = test.lab.kubectl("get", "node", node, "-o", f"jsonpath={path}")
    parsed = time.strptime(text.strip(), "%Y-%m-%dT%H:%M:%SZ")
    # Kubernetes cuts the fraction off; half a second is what is expected to be missing.
    return time.mktime(parsed) - time.timezone + 0.5


def longest_gap(steps: list[Step], begin: float, end: float) -> float:
    """The longest time between two committed steps of the others."""
    moments = sorted({s.at for s in steps if begin <= s.at <= end})
    return max((b - a for a, b in itertools.pairwise(moments)), default=end - begin)


def join_once(test: Bed, number: int) -> tuple[float, float]:
    """Seconds from Ready to the first step with the newcomer; longest stall of the others."""
    name = f"joiner-{number}"
    test.lab.node_add(NodeSpec(name=name, link="50mbit", cpu=CPU, site="A"))
    test.watch(name)
    began = ready_at(test, name)

    def first() -> float | None:
        own = [s.at for s in test.journal.read() if s.node == name and s.members > len(test.nodes)]
        return min(own, default=None)

    joined = wait_for(first, 120, f"{name} to commit a step")
    time.sleep(1)
    others = [s for s in test.journal.read() if s.node in test.nodes]
    stall = longest_gap(others, began, joined + 1)
    test.lab.node_remove(name)
    test.wait_training(len(test.nodes))
    return joined - began, stall


def main() -> int:
    with bed("join", NODES) as test:
        test.train("--epochs", "100000", "--samples", "2000")
        imports = [import_seconds(test, CPU) for _ in range(REPEATS)]
        measured = [join_once(test, number) for number in range(REPEATS)]
    importing = statistics.median(imports)
    beyond = [seconds - importing for seconds, _ in measured]
    rows = [
        Row("import of torch alone", importing, "s", None, imports),
        median_row("Ready to first step with it, beyond the import", beyond, "s", Goal("<=", 5)),
        median_row("stall of the others", [stall for _, stall in measured], "s", Goal("<=", 0.5)),
    ]
    return 0 if publish("join", rows) else 1


if __name__ == "__main__":
    sys.exit(main())
