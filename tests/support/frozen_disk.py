"""A small file system of its own that can be frozen: whoever writes to it waits, and reads go on."""

import subprocess
from collections.abc import Iterator
from contextlib import contextmanager
from pathlib import Path

import pytest

BYTES = 16 << 20


class FrozenDisk:
    def __init__(self, directory: Path) -> None:
        self.directory = directory

    def freeze(self) -> None:
        _run("fsfreeze", "--freeze", self.directory)

    def thaw(self) -> None:
        """If it is frozen."""
        subprocess.run(["fsfreeze", "--unfreeze", self.directory], check=False, capture_output=True)


@contextmanager
def frozen_disk(image: Path, directory: Path) -> Iterator[FrozenDisk]:
    """Mounted at `directory`; not frozen yet. Skips the test where the system does not let us."""
    directory.mkdir(parents=True, exist_ok=True)
    with image.open("wb") as file:
        file.truncate(BYTES)
    try:
        _run("mkfs.ext4", "-q", image)
        _run("mount", "-o", "loop", image, directory)
    except (OSError, subprocess.CalledProcessError) as error:
        pytest.skip(f"no file system of our own can be mounted here: {error}")
    disk = FrozenDisk(directory)
    try:
        yield disk
    finally:
        disk.thaw()
        _run("umount", "--lazy", directory)


def _run(*words: str | Path) -> None:
    subprocess.run(words, check=True, capture_output=True)
