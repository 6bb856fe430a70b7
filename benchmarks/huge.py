"""100 M samples: time to the first batch and memory for it, and for a permutation, as torch samples."""

import json
import os
import subprocess
import sys
import tempfile
from collections.abc import Mapping

from benchmarks.harness import Goal, end_when_told, median_row, publish
from tests.support.group import ROOT

SAMPLES = 100_000_000
ROUNDS: Mapping[str, int] = {"session": 5, "permutation": 1}
GOALS = {"session": (Goal("<=", 50), Goal("<=", 1)), "permutation": (None, None)}


def measured(way: str) -> tuple[float, float]:
    """Milliseconds and megabytes."""
    command = [sys.executable, "-m", "benchmarks.programs.first_batch", way, str(SAMPLES)]
    # A session alone makes a folder for its model.
    with tempfile.TemporaryDirectory(prefix="huge-") as folder:
        environment = {**os.environ, "PYTHONPATH": str(ROOT)}
        ran = subprocess.run(command, check=True, stdout=subprocess.PIPE, cwd=folder, env=environment)
    found = json.loads(ran.stdout)
    return 1000 * found["seconds"], found["bytes"] / 1e6


def main() -> int:
    end_when_told()
    rows = []
    for way, rounds in ROUNDS.items():
        times, bytes_held = zip(*(measured(way) for _ in range(rounds)), strict=True)
        in_time, in_memory = GOALS[way]
        rows.append(median_row(f"{way}: to the first batch", times, "ms", in_time))
        rows.append(median_row(f"{way}: memory for it", bytes_held, "MB", in_memory))
    return 0 if publish("huge", rows) else 1


if __name__ == "__main__":
    sys.exit(main())
