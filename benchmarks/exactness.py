"""Random faults, and what became of each step and each sample."""

import os
import random
import sys
import time

from benchmarks.audit import NONE, audit, audit_rows
from benchmarks.bed import bed, edges
from benchmarks.faults import (
    OPERATOR_AND_PROGRAM_KILLED,
    PARTITION,
    POWER_CUT,
    PROGRAM_KILLED,
    STOPPED,
)
from benchmarks.harness import publish

FAULTS = int(os.environ.get("FAULTS", "50"))
SEED = int(os.environ.get("SEED", "0")) or random.SystemRandom().randrange(1, 10**6)
SAMPLES = 4000
NODES = edges("100mbit", "50mbit", "50mbit", "20mbit", cpus=[0.6] * 4)
ALL_FAULTS = (PROGRAM_KILLED, PROGRAM_KILLED, STOPPED, PARTITION, POWER_CUT, OPERATOR_AND_PROGRAM_KILLED)


def main() -> int:
    print(f"seed {SEED}: repeat with SEED={SEED}", flush=True)
    chance = random.Random(SEED)
    with bed("exactness", NODES) as test:
        test.train("--samples", str(SAMPLES), "--epochs", "100000")
        for number in range(FAULTS):
            struck = chance.choice(ALL_FAULTS).strike(test, chance)
            print(f"  fault {number + 1} of {FAULTS}: {struck}", flush=True)
            # A second loss of a majority would rightly pause the job, so each fault meets a whole group.
            test.wait_training(len(test.nodes))
        time.sleep(1)
        found = audit(test.journal.read(), SAMPLES)
    return 0 if publish("exactness", audit_rows([found], rolled_back=NONE)) else 1


if __name__ == "__main__":
    sys.exit(main())
