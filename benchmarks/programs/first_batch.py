"""How long the first batch of a very large data set takes, and what is held for it.

python -m benchmarks.programs.first_batch session|permutation SAMPLES

Writes one line of JSON: seconds, and bytes of memory at most. `permutation` makes the order of an epoch as
torch's RandomSampler does.
"""

import json
import sys
import time
from collections.abc import Callable
from pathlib import Path

import torch
from torch import nn

import edgetrain

BATCH = 64
PEAK_AGAIN = Path("/proc/self/clear_refs")
"""Where one writes 5 the kernel counts the peak anew (proc(5))."""


class Numbers:
    """A set of any length that holds nothing."""

    def __init__(self, samples: int) -> None:
        self._samples = samples

    def __len__(self) -> int:
        return self._samples

    def __getitem__(self, index: int) -> torch.Tensor:
        return torch.tensor([float(index)])


def resident_bytes(which: str) -> int:
    lines = Path("/proc/self/status").read_text().splitlines()
    return next(int(line.split()[1]) * 1024 for line in lines if line.startswith(which))


def by_session(samples: int) -> list[float]:
    session = edgetrain.join()
    session.prepare(nn.Linear(1, 1))
    batch = next(iter(session.loader(Numbers(samples), batch_size=BATCH)))
    return [float(x) for x in batch]


def by_permutation(samples: int) -> list[float]:
    order, numbers = torch.randperm(samples).tolist(), Numbers(samples)
    return [float(numbers[index]) for index in order[:BATCH]]


WAYS: dict[str, Callable[[int], list[float]]] = {"session": by_session, "permutation": by_permutation}


def main() -> None:
    way, samples = WAYS[sys.argv[1]], int(sys.argv[2])
    way(100)
    PEAK_AGAIN.write_text("5")
    held, before = resident_bytes("VmRSS"), time.monotonic()
    batch = way(samples)
    seconds = time.monotonic() - before
    assert len(set(batch)) == BATCH
    print(json.dumps({"seconds": seconds, "bytes": resident_bytes("VmHWM") - held}))


if __name__ == "__main__":
    main()
