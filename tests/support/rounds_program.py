"""A group of one worker in rounds. To train on a position adds one to the number of that position.

So the last version says what became of each of them: one part in as many groups as there are, once.
"""

import sys
import time

import numpy as np

from edgetrain.rounds.leasing import Want
from tests.support.rounds_group import arguments, begin


def main() -> int:
    parser = arguments("samples", "epochs", "generation", "batch", "local-steps")
    parser.add_argument("--step-seconds", type=float, required=True)
    asked = parser.parse_args()
    theta = np.empty(asked.samples * asked.epochs, np.float32)
    want = Want(3 * asked.batch * asked.local_steps, asked.batch)
    worker = begin(asked, theta, asked.samples, asked.epochs, want, asked.local_steps, asked.generation)
    while not worker.over:
        step = worker.next_step(asked.batch, 1.0)
        if not step:
            continue
        for start, stop in step:
            theta[start:stop] += 1
        time.sleep(asked.step_seconds)
        worker.trained()
    worker.envoy.close()
    assert worker.work is not None
    print(f"over after {worker.work.ledger.seq} pushes", flush=True)
    np.save(asked.result, theta)
    return 0


if __name__ == "__main__":
    sys.exit(main())
