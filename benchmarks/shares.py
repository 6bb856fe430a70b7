"""Batch shares by measured speed against equal ones, on processors 4 : 4 : 2 : 1."""

import sys
import time

from benchmarks.bed import Bed, bed, edges
from benchmarks.harness import Goal, Row, publish

NODES = edges("100mbit", "100mbit", "100mbit", "100mbit", cpus=[0.52, 0.52, 0.26, 0.13])
BATCH = 2816
"""So large that a step's time is that of its samples: a quota of an eighth of a core makes each wait cost
a tenth of a second, however little there is to do."""
SETTLE_SECONDS, MEASURE_SECONDS = 50.0, 60.0
ARGUMENTS = ("--epochs", "100000", "--width", "512", "--work", "12")
QUIETLY = ("--no-indices", "--digest-every", "1000000")
LOSS_STEPS = 30


def measure(test: Bed, shares: str) -> tuple[float, float]:
    """Steps a second once shares have settled, and the mean loss of the first steps."""
    test.train(
        *ARGUMENTS, *QUIETLY, name=f"shares-{shares}", strategy={"shares": shares, "reduction": "ring"}
    )
    time.sleep(SETTLE_SECONDS)
    begin = time.time()
    time.sleep(MEASURE_SECONDS)
    lines = [s for s in test.journal.read() if f"shares-{shares}" in s.process]
    test.end()
    early = {s.step: s.loss for s in lines if s.step <= LOSS_STEPS}
    moments = sorted({s.step: s.at for s in lines if s.at >= begin}.values())
    return (len(moments) - 1) / (moments[-1] - moments[0]), sum(early.values()) / len(early)


def main() -> int:
    with bed("shares", NODES, batch=BATCH) as test:
        equal, equal_loss = measure(test, "equal")
        speed, speed_loss = measure(test, "speed")
    difference = abs(speed_loss - equal_loss) / equal_loss
    rows = [
        Row("equal shares", equal, "steps/s", None, (equal,)),
        Row("shares by speed", speed, "steps/s", None, (speed,)),
        Row("shares by speed against equal", speed / equal, "x", Goal(">=", 1.8), (speed / equal,)),
        Row(
            f"loss over {LOSS_STEPS} steps, difference", difference, "ratio", Goal("<=", 0.05), (difference,)
        ),
    ]
    return 0 if publish("shares", rows) else 1


if __name__ == "__main__":
    sys.exit(main())
