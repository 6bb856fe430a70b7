"""Each preset on one machine: the digits, to the accuracy that averaging at every step comes to."""

import re
import subprocess
import sys
import tempfile
import time

from benchmarks.harness import Goal, Row, end_when_told, publish
from edgetrain_local.wish import PRESETS
from edgetrain_protocol.strategy import Preset
from tests.support.group import ROOT

WORKERS, EPOCHS = "3", "60"
WITHIN = 0.02
"""Of what DDP comes to."""


def trained(preset: Preset) -> tuple[float, float]:
    """The held-out accuracy, which all workers have alike, and the seconds that it took.

    Raises:
        RuntimeError: it came to none, or to several.
    """
    began = time.monotonic()
    with tempfile.TemporaryDirectory(prefix="presets-") as folder:
        words = ["-n", WORKERS, "--preset", preset, "--dir", f"{folder}/state", "--model", f"{folder}/model"]
        digits = [str(ROOT / "examples" / "digits.py"), "--epochs", EPOCHS]
        run = [sys.executable, "-P", "-m", "edgetrain_local", "run", *words, *digits]
        said = subprocess.run(run, cwd=folder, capture_output=True, text=True, check=False).stdout
    found = set(re.findall(r"held-out accuracy: ([0-9.]+)", said))
    if len(found) != 1:
        raise RuntimeError(f"{preset}: {sorted(found)}\n{said[-2000:]}")
    return float(found.pop()), time.monotonic() - began


def main() -> int:
    end_when_told()
    usual, seconds = trained(Preset.DDP)
    rows = [Row(f"{Preset.DDP}: accuracy", usual, "", None, (usual, seconds))]
    for preset in PRESETS:
        if preset not in (Preset.AUTO, Preset.DDP):
            accuracy, seconds = trained(preset)
            goal = Goal(">=", round(usual - WITHIN, 4))
            rows.append(Row(f"{preset}: accuracy", accuracy, "", goal, (accuracy, seconds)))
    return 0 if publish("presets", rows) else 1


if __name__ == "__main__":
    sys.exit(main())
