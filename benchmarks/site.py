"""A site without power: all nodes off and on again, in each order of their return.

Two of the four hold the newest checkpoint, so that in some orders the first who are back have none, or an
older one. What they go on from must be the newest that two held: it is durable.
"""

import itertools
import json
import os
import random
import statistics
import sys
import time
from collections import Counter
from collections.abc import Sequence
from dataclasses import dataclass

from benchmarks.aftermath import (
    START_SECONDS,
    Aftermath,
    aftermath,
    last_resorts,
    restore,
    wait_whole_again,
)
from benchmarks.audit import Audit, audit, audit_rows
from benchmarks.bed import Bed, bed, edges
from benchmarks.evidence import explain
from benchmarks.faults import Struck, cut_power
from benchmarks.harness import Goal, Row, publish
from benchmarks.steps import Step
from benchmarks.waiting import wait_for
from edgelab.errors import LabError

ORDERS = int(os.environ.get("ORDERS", "24"))
SEED = int(os.environ.get("SEED", "0")) or random.SystemRandom().randrange(1, 10**6)
QUIET_SECONDS = float(os.environ.get("QUIET_SECONDS", "120"))
"""From the start of the last program; who does not train by then is taken never to."""
CHECKPOINT_EVERY_SECONDS = 8
SETTLED_SECONDS = 3.0
"""From a checkpoint on two disks until its record is sure to be in the job's plan."""
HOLDERS = 2
SAMPLES = 4000
NODES = edges("50mbit", "50mbit", "50mbit", "50mbit", cpus=[0.45] * 4)


@dataclass(frozen=True)
class Return:
    """What became of one order."""

    order: tuple[str, ...]
    durable: int
    """The newest step that two nodes held in a checkpoint when the power went."""
    went_on_from: int | None
    """The step below the first one of the generation that trains now; None: none does."""
    after: Aftermath | None
    last_resorts: int


def main() -> int:
    print(f"seed {SEED}: repeat with SEED={SEED}", flush=True)
    orders = list(itertools.permutations(node.name for node in NODES))
    random.Random(SEED).shuffle(orders)
    returns: list[Return] = []
    found: list[Audit] = []
    with bed("site", NODES) as test:
        while todo := orders[:ORDERS][len(returns) :]:
            found += one_job(test, f"site-{len(returns)}", todo, returns)
    return 0 if publish("site", rows(returns, found)) else 1


def one_job(test: Bed, name: str, orders: Sequence[tuple[str, ...]], returns: list[Return]) -> list[Audit]:
    """The same job through as many of the orders as it comes back from."""
    test.open_journal()
    with test.journal.followed():
        test.train(
            *("--samples", str(SAMPLES), "--epochs", "100000"),
            name=name,
            seconds=START_SECONDS,
            nodes={"min": 2},
            strategy={"checkpointEverySeconds": CHECKPOINT_EVERY_SECONDS},
            storage={"checkpoint": {"claim": {"size": "64Mi"}}},
        )
        for order in orders:
            returns.append(returned(test, order))
            if returns[-1].after is None:
                break
        restore(test)
        test.end()
        wait_for(lambda: not manifests(test), 60, "the volumes to be erased")
    test.journal.close()
    return [audit(test.journal.read(), SAMPLES)]


def returned(test: Bed, order: tuple[str, ...]) -> Return:
    """All off, and on in this order."""
    durable, resorts = 0, last_resorts(test)
    try:
        wait_settled(test)
        durable = newest_of_two(test)
        outcome = back(test, order, durable, resorts)
    except (LabError, TimeoutError) as failed:
        print(f"  FAILED: {order}: {failed}", flush=True)
        explain(test, f"site-{'-'.join(order)}")
        outcome = Return(order, durable, None, None, last_resorts(test) - resorts)
    print(f"  {outcome}", flush=True)
    return outcome


def back(test: Bed, order: tuple[str, ...], durable: int, resorts: int) -> Return:
    """Where it went on from; `resorts` were taken before.

    Raises:
        TimeoutError: it did not.
    """
    began = time.time()
    cut_power(test, order)
    struck = Struck("power cut of all", order, began, time.time(), kills=True)
    wait_whole_again(test, [struck], QUIET_SECONDS)
    time.sleep(1)
    steps = test.journal.read()
    after = aftermath([struck], steps, test.journal.begun, len(test.nodes))
    return Return(order, durable, first_after(steps, began) - 1, after, last_resorts(test) - resorts)


def wait_settled(test: Bed) -> None:
    """Until a new checkpoint is on two disks, and its record is in the plan."""
    test.wait_training(len(test.nodes))
    before = newest_of_two(test)
    wait_for(lambda: newest_of_two(test) > before, 60, "a checkpoint on two disks", every=0.2)
    time.sleep(SETTLED_SECONDS)


def newest_of_two(test: Bed) -> int:
    """The newest step of a checkpoint that two nodes hold; 0 where there is none."""
    held = Counter(manifests(test))
    return max((step for step, holders in held.items() if holders >= HOLDERS), default=0)


def manifests(test: Bed) -> list[int]:
    """The steps of all checkpoints on all disks."""
    files = [file for node in test.nodes for file in test.lab.node(node).volumes.rglob("lineage-*.json")]
    return [json.loads(file.read_text())["step"] for file in files]


def first_after(steps: Sequence[Step], moment: float) -> int:
    """The first step of the newest generation that was committed after a moment."""
    newest = max(step.history for step in steps)
    return min(step.step for step in steps if step.history == newest and step.at > moment)


def rows(returns: Sequence[Return], found: Sequence[Audit]) -> list[Row]:
    """What the orders show together."""
    back = [r.after for r in returns if r.after]
    right = [r for r in returns if r.went_on_from is not None and r.went_on_from >= r.durable]
    nexts, wholes = [after.to_next for after in back], [after.to_whole for after in back]
    resorts = [r.last_resorts for r in returns]
    every = Goal("==", len(returns))
    counted = [
        Row(f"of {len(returns)} orders: train again", len(back), "orders", every, wholes),
        Row("last resorts taken (Stalled)", sum(resorts), "times", Goal("==", 0), resorts),
        Row("from the newest durable step", len(right), "orders", every, [r.durable for r in returns]),
    ]
    timed = (
        [
            Row("to the next step, median", statistics.median(nexts), "s", None, nexts),
            Row("to the next step, worst", max(nexts), "s", None, nexts),
            Row("to a step of all members, worst", max(wholes), "s", None, wholes),
        ]
        if back
        else []
    )
    return [*counted, *timed, *audit_rows(found)]


if __name__ == "__main__":
    sys.exit(main())
