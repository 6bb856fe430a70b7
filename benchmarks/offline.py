"""A KubeEdge node without the cloud for more than five minutes: its pod, and the steps of its site."""

import os
import sys
import time
from collections.abc import Iterator

from benchmarks.audit import audit
from benchmarks.bed import Bed, bed, edges
from benchmarks.harness import Goal, Row, publish
from benchmarks.pods_kept import PodsKept, bystander_evicted, start_bystander
from benchmarks.steps import by_step, gaps

OFFLINE_SECONDS = float(os.environ.get("OFFLINE_SECONDS", "330"))
"""By then Kubernetes has taken from the node what does not tolerate darkness: after 300 s of it."""
SAMPLES = 4000
NODES = edges("50mbit", "50mbit", "50mbit", cpus=[0.5] * 3, kind="kubeedge")
NONE = Goal("==", 0)


def without_the_cloud(test: Bed) -> Iterator[Row]:
    """One node offline, its site around it."""
    node = next(node for node in test.nodes if node != test.aggregator())
    start_bystander(test, node)
    kept, began = PodsKept(test), time.time()
    test.lab.offline(node)
    kept.look_until(began + OFFLINE_SECONDS)
    evicted = bystander_evicted_by_then(test)
    ended = time.time()
    test.lab.heal()
    test.wait_training(len(test.nodes), seconds=180)
    back = time.time() - ended
    kept.look()
    yield Row("pods lost", len(kept.lost), "pods", NONE, (len(kept.before),))
    yield Row("pods doubled", kept.most - 1, "pods", NONE, (kept.most,))
    yield Row("another pod of the node: evicted", evicted, "pods", None, (evicted,))
    yield from of_its_site(test, node, began, ended)
    yield Row("from the link's return to training by all accounts", back, "s", None, (back,))


def bystander_evicted_by_then(test: Bed) -> int:
    try:
        bystander_evicted(test, 1)
    except TimeoutError:
        return 0
    return 1


def of_its_site(test: Bed, node: str, began: float, ended: float) -> Iterator[Row]:
    """What the journals tell of that time."""
    steps = test.journal.read()
    meanwhile = by_step(s for s in steps if began <= s.at <= ended and not s.replayed)
    fewer = sum(any(line.members < len(test.nodes) for line in lines) for lines in meanwhile.values())
    found, waits = audit(steps, SAMPLES), gaps(steps, began, ended)
    yield Row("steps committed meanwhile", len(meanwhile), "steps", None, (len(meanwhile),))
    yield Row("of these without that node", fewer, "steps", NONE, (fewer,))
    yield Row("longest wait for a step", max(waits), "s", None, tuple(sorted(waits)[-5:]))
    yield Row("steps lost or forked", found.steps_harmed, "steps", NONE, (found.steps,))
    yield Row(
        "samples lost or seen twice",
        found.samples_lost + found.samples_twice,
        "samples",
        NONE,
        (found.steps,),
    )


def main() -> int:
    with bed("offline", NODES) as test:
        test.train("--samples", str(SAMPLES), "--epochs", "100000")
        rows = list(without_the_cloud(test))
    return 0 if publish("offline", rows) else 1


if __name__ == "__main__":
    sys.exit(main())
