"""A fault every 29 s for half an hour: what is trained, against what the workers who lived could have.

torchft is measured by the same count in the same run, on loopback.
"""

import os
import random
import sys
import time
from collections.abc import Sequence

from benchmarks.aftermath import START_SECONDS
from benchmarks.audit import audit, audit_rows, history_of
from benchmarks.baselines import torchft
from benchmarks.bed import Bed, bed, edges
from benchmarks.evidence import KEPT, keep_journal
from benchmarks.faults import PARTITION, POWER_CUT, PROGRAM_KILLED, STOPPED, Struck
from benchmarks.harness import Goal, Row, publish
from benchmarks.living import Absence, Committed, Span, goodput, longest_wait
from benchmarks.steps import Step
from benchmarks.waiting import sleep_until

MINUTES = float(os.environ.get("MINUTES", "30"))
SEED = int(os.environ.get("SEED", "0")) or random.SystemRandom().randrange(1, 10**6)
EVERY_SECONDS = 29.0
FAULT_FREE_SECONDS = 60.0
BASELINE_FAULTS = 20
"""The most that torchft is given: ten minutes of them show where it stands."""
SAMPLES = 4000
SAMPLE_SECONDS = 0.01
"""So long a worker waits for each sample, as for a device of its own: two cores do not train for six."""
LINKS = ("100mbit", "50mbit", "50mbit", "20mbit", "50mbit", "50mbit")
NODES = edges(*LINKS, cpus=[0.3] * 6)
FAULTS = (PROGRAM_KILLED, STOPPED, PARTITION, POWER_CUT)


def main() -> int:
    print(f"seed {SEED}: repeat with SEED={SEED}", flush=True)
    faults = int(MINUTES * 60 / EVERY_SECONDS)
    with bed("goodput", NODES) as test:
        rows = ours(test, faults)
    workers, part = len(NODES), test.batch // len(NODES)
    fewer = min(faults, BASELINE_FAULTS)
    rows += torchft.rows(workers, part, SAMPLE_SECONDS, fewer, EVERY_SECONDS, FAULT_FREE_SECONDS, SEED)
    return 0 if publish("goodput", rows) else 1


def ours(test: Bed, faults: int) -> list[Row]:
    test.train(
        *("--samples", str(SAMPLES), "--epochs", "100000", "--sample-seconds", str(SAMPLE_SECONDS)),
        seconds=START_SECONDS,
        nodes={"min": 2},
        strategy={"checkpointEverySeconds": 15},
        storage={"checkpoint": {"claim": {"size": "64Mi"}}},
    )
    with test.journal.followed():
        began = time.time()
        sleep_until(began + FAULT_FREE_SECONDS)
        faulty = time.time()
        struck = strike_all(test, faults, faulty)
        ended = time.time()
    return judged(test, struck, (began, faulty), (faulty, ended))


def strike_all(test: Bed, faults: int, begin: float) -> list[Struck]:
    chance, struck = random.Random(SEED), []
    for number in range(faults):
        struck.append(chance.choice(FAULTS).strike(test, chance))
        print(f"  {number + 1} of {faults}: {struck[-1]}", flush=True)
        sleep_until(begin + (number + 1) * EVERY_SECONDS)
    return struck


def judged(test: Bed, struck: Sequence[Struck], fault_free: Span, faulty: Span) -> list[Row]:
    lines = test.journal.read()
    keep_journal(test, KEPT / "goodput")
    steps = committed(lines)
    away = [absence for fault in struck for absence in absences(fault, lines)]
    part = goodput(steps, test.nodes, test.journal.begun, away, fault_free, faulty)
    return [
        Row(f"goodput over {len(struck)} faults", part, "ratio", Goal(">=", 0.95), (part,)),
        Row("longest time in which nobody trains", longest_wait(steps, faulty), "s", Goal("<", 10)),
        *audit_rows([audit(lines, SAMPLES)]),
    ]


def committed(lines: Sequence[Step]) -> list[Committed]:
    """Each step that no new generation has undone, once."""
    return [
        Committed(min(line.at for line in same), max(line.samples for line in same))
        for same in history_of(lines).values()
    ]


def absences(fault: Struck, lines: Sequence[Step]) -> list[Absence]:
    """Of each node struck, from its last step on: a fault is struck somewhat later than it is ordered."""
    return [Absence(node, last_step(node, fault, lines), fault.ended, fault.kills) for node in fault.nodes]


def last_step(node: str, fault: Struck, lines: Sequence[Step]) -> float:
    during = (line.at for line in lines if line.node == node and fault.began <= line.at <= fault.ended)
    return max(during, default=fault.began)


if __name__ == "__main__":
    sys.exit(main())
