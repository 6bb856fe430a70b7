"""Random faults, and what became of each step and each sample."""

import os
import random
import signal
import sys
import time

from benchmarks.audit import audit
from benchmarks.bed import Bed, bed, edges
from benchmarks.harness import Goal, Row, publish

FAULTS = int(os.environ.get("FAULTS", "50"))
SEED = int(os.environ.get("SEED", "0")) or random.SystemRandom().randrange(1, 10**6)
SAMPLES = 4000
NODES = edges("100mbit", "50mbit", "50mbit", "20mbit", cpus=[0.6] * 4)


def kill(test: Bed, node: str) -> None:
    test.signal_program(node, signal.SIGKILL)


def stop_and_wake(test: Bed, node: str) -> None:
    test.signal_pod(node, signal.SIGSTOP)
    time.sleep(4)
    test.signal_pod(node, signal.SIGCONT)


def partition(test: Bed, node: str) -> None:
    test.lab.partition(node)
    time.sleep(5)
    test.lab.heal(node)


def power_cut(test: Bed, node: str) -> None:
    test.lab.node_kill(node)
    time.sleep(3)
    test.lab.node_start(node)


def operator_kill(test: Bed, node: str) -> None:
    test.scale_operator(0)
    kill(test, node)
    time.sleep(3)
    test.scale_operator(1)


ALL_FAULTS = (kill, kill, stop_and_wake, partition, power_cut, operator_kill)


def main() -> int:
    print(f"seed {SEED}: repeat with SEED={SEED}", flush=True)
    chance = random.Random(SEED)
    with bed("exactness", NODES) as test:
        test.train("--samples", str(SAMPLES), "--epochs", "100000")
        for number in range(FAULTS):
            fault, node = chance.choice(ALL_FAULTS), chance.choice(test.nodes)
            print(f"  fault {number + 1} of {FAULTS}: {fault.__name__} on {node}", flush=True)
            fault(test, node)
            # A second loss of a majority would rightly pause the job, so each fault meets a whole group.
            test.wait_training(len(test.nodes))
        time.sleep(1)
        found = audit(test.journal.read(), SAMPLES)
    none = Goal("==", 0)
    rows = [
        Row(f"committed steps lost, of {found.steps}", found.lost, "steps", none, (found.lost,)),
        Row(f"steps forked, over {FAULTS} faults", found.forked, "steps", none, (found.forked,)),
        Row("samples lost", found.samples_lost, "samples", none, (found.samples_lost,)),
        Row("samples seen twice", found.samples_twice, "samples", none, (found.samples_twice,)),
    ]
    return 0 if publish("exactness", rows) else 1


if __name__ == "__main__":
    sys.exit(main())
