"""Random faults, and what became of each step and each sample: nothing lost, nothing forked, nothing twice.

Every member writes down each step that it commits: all its samples, and a digest of the parameters after
it. Two members that committed a step differently are a fork; a step that nobody committed between two
that were is lost; an epoch whose steps do not hold each sample once has lost or doubled some.
"""

import os
import random
import signal
import sys
import time
from collections import Counter
from collections.abc import Sequence
from dataclasses import dataclass

from benchmarks.bed import Bed, bed, edges
from benchmarks.harness import Goal, Row, publish
from benchmarks.steps import Step, by_number

FAULTS = int(os.environ.get("FAULTS", "50"))
SEED = int(os.environ.get("SEED", "0")) or random.SystemRandom().randrange(1, 10**6)
SAMPLES = 4000
NODES = edges("100mbit", "50mbit", "50mbit", "20mbit", cpus=[0.6] * 4)


@dataclass(frozen=True)
class Audit:
    """What the journals show."""

    steps: int
    forked: int
    lost: int
    samples_lost: int
    samples_twice: int


def audit(steps: Sequence[Step], samples: int) -> Audit:
    """Judge all lines that all members wrote. The last epoch is still under way and not judged."""
    numbered = by_number(steps)
    forked = sum(len({(line.indices, line.digest) for line in lines}) > 1 for lines in numbered.values())
    lost = max(numbered) - min(numbered) + 1 - len(numbered)
    epochs: dict[int, Counter[int]] = {}
    for lines in numbered.values():
        epochs.setdefault(lines[0].epoch, Counter()).update(lines[0].indices)
    whole = [count for epoch, count in epochs.items() if epoch < max(epochs)]
    return Audit(
        steps=len(numbered),
        forked=forked,
        lost=lost,
        samples_lost=sum(samples - len(count) for count in whole),
        samples_twice=sum(sum(n - 1 for n in count.values()) for count in whole),
    )


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
