"""The example run as on a laptop, without a cluster: it learns what it promises."""

import re
import subprocess
import sys
from pathlib import Path

PROGRAM = Path(__file__).parents[2] / "examples" / "digits.py"


def test_alone_it_learns_the_digits(tmp_path: Path) -> None:
    command = [sys.executable, str(PROGRAM), "--epochs", "12"]
    done = subprocess.run(command, cwd=tmp_path, capture_output=True, text=True, check=True)
    found = re.search(r"^held-out accuracy: ([0-9.]+)$", done.stdout, re.MULTILINE)
    assert found and float(found[1]) >= 0.95
    assert (tmp_path / "model" / "model.safetensors").exists()
