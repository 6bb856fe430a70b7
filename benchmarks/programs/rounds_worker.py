"""A group of one worker that has nothing to compute: a round is a step of nothing, pushed, merged, applied.

It writes down when it has applied each version.
"""

import json
import sys
import time

import numpy as np

from edgetrain.rounds.leasing import Want
from tests.support.rounds_group import arguments, begin

BATCH = 1


def main() -> int:
    asked = arguments("numbers", "rounds", "groups").parse_args()
    theta = np.empty(asked.numbers, np.float32)
    # No step before the push of the last one is settled: a round is as long as its exchange.
    worker = begin(asked, theta, asked.rounds * asked.groups, 1, Want(BATCH, BATCH), local_steps=1)
    applied: list[float] = []
    while not worker.over:
        assert worker.work is not None
        base = worker.work.ledger.base
        if worker.next_step(BATCH, 1.0):
            theta += 0.001
            worker.trained()
        if worker.work.ledger.base > base:
            applied.append(time.monotonic())
    worker.envoy.close()
    asked.result.write_text(json.dumps(applied))
    return 0


if __name__ == "__main__":
    sys.exit(main())
