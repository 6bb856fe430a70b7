"""How many threads torch computes with: what the container may use, however its quota is told, at most."""

import os
import subprocess
import sys
from pathlib import Path

import pytest

from edgetrain.engine.settings import cores

THREADS_OF_A_PROGRAM = """
import torch
import edgetrain
{before}
edgetrain.join()
print(torch.get_num_threads())
"""


@pytest.mark.parametrize(
    ("files", "expected"),
    [
        ({}, 4),
        ({"cpu.max": "max 100000"}, 4),
        ({"cpu.max": "250000 100000"}, 2),
        ({"cpu.max": "30000 100000"}, 1),
        ({"cpu.max": "800000 100000"}, 4),
        ({"cpu/cpu.cfs_quota_us": "-1", "cpu/cpu.cfs_period_us": "100000"}, 4),
        ({"cpu/cpu.cfs_quota_us": "150000", "cpu/cpu.cfs_period_us": "100000"}, 1),
    ],
)
def test_whole_cores_of_the_quota(tmp_path: Path, files: dict[str, str], expected: int) -> None:
    for name, text in files.items():
        (tmp_path / name).parent.mkdir(exist_ok=True)
        (tmp_path / name).write_text(text + "\n")
    assert cores(4, tmp_path) == expected


@pytest.mark.parametrize(
    ("before", "env"), [("torch.set_num_threads(1)", {}), ("", {"OMP_NUM_THREADS": "1"})], ids=["set", "env"]
)
def test_a_program_that_chose_fewer_threads_keeps_to_them(before: str, env: dict[str, str]) -> None:
    program = THREADS_OF_A_PROGRAM.format(before=before)
    ran = subprocess.run(
        [sys.executable, "-c", program], env={**os.environ, **env}, capture_output=True, text=True, check=True
    )
    assert ran.stdout.strip() == "1"
