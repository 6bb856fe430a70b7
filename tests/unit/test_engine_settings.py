"""What a trainer takes from its surroundings: threads by its quota, directories of its own job."""

from pathlib import Path

import pytest

from edgetrain.engine.settings import Settings, cores


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


def test_jobs_that_share_a_volume_do_not_take_each_others_checkpoints() -> None:
    volume = {"EDGETRAIN_CHECKPOINT_DIR": "/volume"}
    first, second = (
        Settings.from_env({**volume, "EDGETRAIN_JOB_UID": uid}).checkpoint_dir for uid in ("1", "2")
    )
    assert first != second
    assert first.parent == second.parent == Settings.from_env(volume).checkpoint_dir == Path("/volume")
