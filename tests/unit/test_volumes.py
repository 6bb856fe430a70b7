"""Volumes are tried before the first step."""

import os
from pathlib import Path

import pytest

from edgetrain.engine.errors import VolumeNotWritable
from edgetrain.engine.state.volumes import try_volumes

USER = 65532


def test_one_that_can_be_written_is_left_as_it_was(tmp_path: Path) -> None:
    try_volumes({"spec.storage.model": tmp_path, "spec.storage.checkpoint": tmp_path / "made" / "later"})
    assert list(tmp_path.iterdir()) == []


def test_a_file_in_its_place_is_named(tmp_path: Path) -> None:
    (tmp_path / "here").write_text("a file")
    with pytest.raises(
        VolumeNotWritable, match=r"^spec\.storage\.model: .*/here cannot be written \(ENOTDIR"
    ):
        try_volumes({"spec.storage.model": tmp_path / "here"})


def test_a_directory_of_roots_is_named_with_its_mend(tmp_path: Path) -> None:
    tmp_path.chmod(0o555)
    before = os.geteuid()
    if before == 0:
        os.seteuid(USER)
    try:
        with pytest.raises(VolumeNotWritable, match=r"\(EACCES: .* a hostPath directory belongs to root"):
            try_volumes({"spec.storage.checkpoint": tmp_path / "worker"})
    finally:
        os.seteuid(before)
        tmp_path.chmod(0o755)


def test_a_read_only_file_system_is_named() -> None:
    with pytest.raises(
        VolumeNotWritable, match=r"spec\.storage\.checkpoint: /proc/nothing cannot be written"
    ):
        try_volumes({"spec.storage.checkpoint": Path("/proc/nothing")})
