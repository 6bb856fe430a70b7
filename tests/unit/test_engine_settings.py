"""How many threads torch computes with: what the container may use, however its quota is told, at most."""

from dataclasses import replace
from pathlib import Path

import pytest
import torch

from edgetrain.engine.settings import cores
from edgetrain.session import Session
from tests.support.alone import alone_in


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


def test_a_program_that_chose_fewer_threads_keeps_to_them(tmp_path: Path) -> None:
    default = torch.get_num_threads()
    torch.set_num_threads(1)
    try:
        Session(None, replace(alone_in(tmp_path), cores=4))
        assert torch.get_num_threads() == 1
        torch.set_num_threads(4)
        Session(None, replace(alone_in(tmp_path), cores=3))
        assert torch.get_num_threads() == 3
    finally:
        torch.set_num_threads(default)
