"""The operator gone for a minute; a site cut off that loses its aggregator; a group split in two halves."""

import os
import signal
import statistics
import sys
import time
from collections.abc import Iterator

from benchmarks.audit import audit
from benchmarks.bed import Bed, bed, edges
from benchmarks.harness import Goal, Row, publish
from benchmarks.steps import LATE_SECONDS, gaps
from benchmarks.waiting import wait_for

AWAY_SECONDS = float(os.environ.get("AWAY_SECONDS", "60"))
SAMPLES = 4000
NODES = edges("50mbit", "50mbit", "50mbit", "50mbit", cpus=[0.5] * 4)


def operator_away(test: Bed) -> Iterator[Row]:
    """The operator killed for a minute, and a worker killed meanwhile."""
    before, revision = test.pod_uids(), test.status().plan.revision
    test.scale_operator(0)
    began = time.time()
    time.sleep(AWAY_SECONDS / 3)
    victim = next(node for node in test.nodes if node != test.status().aggregator)
    test.signal_program(victim, signal.SIGKILL)
    time.sleep(AWAY_SECONDS * 2 / 3)
    waits = gaps(test.journal.read(), began, time.time())
    test.scale_operator(1)
    test.wait_training(len(test.nodes))
    late = sum(wait > LATE_SECONDS for wait in waits)
    yield Row("operator away: steps late", late, "steps", Goal("==", 0), (late,))
    yield Row("operator away: longest wait", max(waits), "s", None, tuple(sorted(waits)[-5:]))
    yield Row("operator away: usual wait", statistics.median(waits), "s", None, (len(waits),))
    onwards = revisions_on(test, victim, revision)
    yield Row("operator back: the next revision", onwards, "revisions on", Goal(">=", 1), (onwards,))
    made_again = sum(uid != before.get(node) for node, uid in test.pod_uids().items())
    yield Row("operator back: pods re-created", made_again, "pods", Goal("==", 0), (made_again,))


def revisions_on(test: Bed, victim: str, revision: int) -> int:
    """How far the plan goes on with one more change that the operator has to follow: a power cut."""
    test.lab.node_kill(victim)
    try:
        return wait_for(lambda: test.status().plan.revision - revision, 60, "a revision", every=0.5)
    finally:
        test.lab.node_start(victim)
        test.wait_training(len(test.nodes))


def cut_off_site(test: Bed) -> Iterator[Row]:
    """All edge nodes lose the operator together, then their aggregator's program is killed."""
    test.lab.partition(*test.nodes)
    time.sleep(3)
    leader = test.aggregator()
    pid = test.program_pid(leader)
    began = time.time()
    os.kill(pid, signal.SIGKILL)
    went_on = test.goes_on_without(leader, began)
    time.sleep(5)
    test.lab.heal()
    test.wait_training(len(test.nodes))
    found = audit(test.journal.read(), SAMPLES)
    yield Row("cut-off site: on without its aggregator", went_on, "s", None, (went_on,))
    yield Row(
        "cut-off site: steps lost or forked",
        found.steps_harmed,
        "steps",
        Goal("==", 0),
        (found.steps,),
    )


def halves(test: Bed) -> Iterator[Row]:
    """Two and two, with the operator on the side of the second half."""
    lead = test.aggregator()
    partner = next(node for node in test.nodes if node != lead)
    sides = [{lead, partner}, set(test.nodes) - {lead, partner}]
    test.lab.partition(*sides[0])
    time.sleep(3)
    began = time.time()
    time.sleep(8)
    lines = [s for s in test.journal.read() if s.at > began]
    on = sum(any(s.node in side for s in lines) for side in sides)
    test.lab.heal()
    test.wait_training(len(test.nodes))
    found = audit(test.journal.read(), SAMPLES)
    yield Row("halves: sides that went on", on, "sides", Goal("<=", 1), (on,))
    yield Row(
        "halves healed: steps lost or forked",
        found.steps_harmed,
        "steps",
        Goal("==", 0),
        (found.steps,),
    )
    whole = len([s for s in test.journal.newest().values() if s.at > time.time() - 5])
    yield Row("halves healed: members training", whole, "nodes", Goal("==", len(test.nodes)), (whole,))


def main() -> int:
    with bed("outage", NODES) as test:
        test.train("--samples", str(SAMPLES), "--epochs", "100000")
        rows = [row for part in (operator_away, cut_off_site, halves) for row in part(test)]
    return 0 if publish("outage", rows) else 1


if __name__ == "__main__":
    sys.exit(main())
