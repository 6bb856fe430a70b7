"""Who is waited for, who was never heard, who is not there any more, and what was lost."""

import re
import time
from collections.abc import Iterator
from contextlib import contextmanager

from benchmarks.audit import audit
from benchmarks.bed import CLOUD, Bed
from benchmarks.faults import kill, order_hang
from benchmarks.status_cases.case import (
    Case,
    Told,
    condition_says,
    is_named,
    start_troubled,
    wait_troubled_training,
)
from edgelab.demo.install import fleet_address, upgrade_operator
from edgetrain_protocol.names import EDGE_NODE_LABEL

NOBODY = "198.51.100.1:30843"
"""Where nobody answers (RFC 5737)."""
EVALUATION_SECONDS = 45
SAMPLES = 4000
UNREPORTED_STEPS = 3
"""Committed after a member's last report, and so unknown to who counts what was lost."""
FRESH_SECONDS = 3.0


@contextmanager
def nobody_answers(test: Bed) -> Iterator[Told]:
    upgrade_operator(test.lab, "--set", f"fleet.address={NOBODY}")
    try:
        start_troubled(test)
        yield lambda: condition_says(test, "NeverHeard", NOBODY)
    finally:
        upgrade_operator(test.lab, "--set", f"fleet.address={fleet_address(test.lab, CLOUD.name)}")


@contextmanager
def hung_aggregator(test: Bed) -> Iterator[Told]:
    """Another leads, steps go on, and it is said who hangs."""
    test.train("--epochs", "100000", nodes={"min": 2})
    hung = test.aggregator()
    order_hang(test, hung, "100000")

    def put_out() -> bool:
        fresh = {s.node for s in test.journal.newest().values() if s.at > time.time() - FRESH_SECONDS}
        leads = test.status().aggregator not in ("", hung)
        return leads and fresh == set(test.nodes) - {hung} and is_named(test, hung)

    yield put_out


@contextmanager
def evaluation(test: Bed) -> Iterator[Told]:
    test.train("--epochs", "100000", nodes={"min": 2})
    busy = next(node for node in test.nodes if node != test.aggregator())
    order_hang(test, busy, str(EVALUATION_SECONDS))
    yield lambda: is_named(test, busy)


@contextmanager
def without_its_label(test: Bed) -> Iterator[Told]:
    """A node that was made anew, and nobody gave it the label of an edge node."""
    start_troubled(test)
    wait_troubled_training(test, len(test.nodes))
    node = test.nodes[-1]
    test.lab.node_kill(node)
    test.lab.kubectl("label", "node", node, f"{EDGE_NODE_LABEL}-")
    test.lab.node_start(node)
    try:
        yield lambda: condition_says(test, node, EDGE_NODE_LABEL)
    finally:
        test.lab.kubectl("label", "node", node, f"{EDGE_NODE_LABEL}=")


@contextmanager
def steps_lost(test: Bed) -> Iterator[Told]:
    """All programs end at once, long after the last checkpoint: how many steps are lost is told rightly."""
    test.train(
        *("--samples", str(SAMPLES), "--epochs", "100000", "--sample-seconds", "0.01"),
        nodes={"min": 2},
        strategy={"checkpointEverySeconds": 20},
        storage={"checkpoint": {"claim": {"size": "64Mi"}}},
    )
    time.sleep(35)
    kill(test, test.nodes)

    def told_rightly() -> bool:
        said, found = lost_by_events(test), audit(test.journal.read(), SAMPLES)
        known = found.rolled_back - UNREPORTED_STEPS <= sum(said) <= found.rolled_back
        return bool(said) and found.rolled_back > UNREPORTED_STEPS and known

    yield told_rightly


def lost_by_events(test: Bed) -> list[int]:
    """What the job's events say of steps lost."""
    said = (re.search(r"(\d+) known steps lost", message) for message in test.events("NewGeneration"))
    return [int(found[1]) for found in said if found]


CASES = (
    Case("an aggregator that hangs is put out and named", hung_aggregator, 30),
    Case("45 s of evaluation on one worker: who is waited for", evaluation, 20),
    Case("a node that comes back without its label", without_its_label, 60),
    Case("steps lost by a new generation are counted", steps_lost, 90),
    Case("workers that are never heard", nobody_answers, 240),
)
