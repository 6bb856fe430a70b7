"""The example: its manifest holds its program and is valid, and alone it learns what it promises."""

import re
import subprocess
import sys
from pathlib import Path

import yaml
from examples.embed import embedded

from edgetrain_protocol.job import JobSpec

EXAMPLES = Path(__file__).parents[2] / "examples"
MANIFEST = (EXAMPLES / "digits.yaml").read_text()
PROGRAM = (EXAMPLES / "digits.py").read_text()


def test_the_manifest_holds_the_program() -> None:
    config, job = yaml.safe_load_all(MANIFEST)
    assert config["data"]["main.py"] == PROGRAM, "run python examples/embed.py"
    assert embedded(MANIFEST, PROGRAM) == MANIFEST
    spec = JobSpec.model_validate(job["spec"])
    assert spec.program.source and spec.program.source.config_map
    assert spec.program.source.config_map.name == config["metadata"]["name"]


def test_alone_it_learns_the_digits(tmp_path: Path) -> None:
    command = [sys.executable, str(EXAMPLES / "digits.py"), "--epochs", "12"]
    done = subprocess.run(command, cwd=tmp_path, capture_output=True, text=True, check=True)
    found = re.search(r"^held-out accuracy: ([0-9.]+)$", done.stdout, re.MULTILINE)
    assert found and float(found[1]) >= 0.95
    assert (tmp_path / "model" / "model.safetensors").exists()
