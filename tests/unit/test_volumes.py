"""Volumes are tried before the first step."""

import os
import tempfile
from collections.abc import Iterator
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


@pytest.fixture
def nobodys_own() -> Iterator[Path]:
    """A directory that we may look into, and not write to."""
    with tempfile.TemporaryDirectory() as made:
        directory = Path(made)
        directory.chmod(0o555)
        before = os.geteuid()
        if before == 0:
            os.seteuid(USER)
        yield directory
        os.seteuid(before)
        directory.chmod(0o755)


def test_a_directory_of_somebody_elses_is_named_with_the_fields_that_mend_it(nobodys_own: Path) -> None:
    found = nobodys_own.stat()
    owner = (
        rf"\(EACCES: .* it is user {found.st_uid}'s and group {found.st_gid}'s, and the program runs as user"
    )
    mend = r"\d+: set template\.spec\.securityContext\.runAsUser or \.supplementalGroups .* \(fsGroup,"
    with pytest.raises(VolumeNotWritable, match=f"{owner} {mend}"):
        try_volumes({"spec.storage.checkpoint": nobodys_own / "worker"})


def test_a_read_only_file_system_is_named() -> None:
    with pytest.raises(
        VolumeNotWritable, match=r"spec\.storage\.checkpoint: /proc/nothing cannot be written"
    ):
        try_volumes({"spec.storage.checkpoint": Path("/proc/nothing")})
