"""The README's first minute: from an empty clone, with packages at hand, to a model of three workers."""

import subprocess
import sys
import tempfile
import time
from collections.abc import Sequence
from pathlib import Path

from benchmarks.harness import Goal, Row, end_when_told, publish
from tests.support.group import ROOT

RUN = (".venv/bin/edgetrain", "run", "-n", "3", "examples/digits.py")


def seconds(command: Sequence[str], cwd: Path) -> float:
    began = time.monotonic()
    subprocess.run(command, cwd=cwd, check=True, stdout=subprocess.DEVNULL)
    return time.monotonic() - began


def main() -> int:
    end_when_told()
    with tempfile.TemporaryDirectory(prefix="first-") as folder:
        clone = Path(folder) / "clone"
        subprocess.run(["git", "clone", "--quiet", str(ROOT), str(clone)], check=True)
        set_up, run = seconds(["make", "setup"], clone), seconds(RUN, clone)
    whole = set_up + run
    rows = [
        Row("make setup", set_up, "s", None, (set_up,)),
        Row(" ".join(("edgetrain", *RUN[1:])), run, "s", None, (run,)),
        Row("from an empty clone to a trained model", whole, "s", Goal("<=", 40), (whole,)),
    ]
    return 0 if publish("first", rows) else 1


if __name__ == "__main__":
    sys.exit(main())
