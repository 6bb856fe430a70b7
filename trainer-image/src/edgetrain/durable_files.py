"""Files that a power cut leaves whole: the old content or the new, never a part of it."""

import contextlib
import glob
import os
import secrets
import time
from pathlib import Path

ABANDONED_SECONDS = 3600.0
"""Nobody writes a file for so long."""


def write_durably(path: Path, data: bytes | memoryview) -> None:
    """Replace a file; when this returns the new one survives a power cut.

    Raises:
        OSError: disk full, not writable, no such directory...; nothing is left behind.
    """
    _clear_drafts(path)
    draft = path.with_name(f".{path.name}.{secrets.token_hex(4)}")
    try:
        write_through(draft, data)
        draft.rename(path)
    finally:
        draft.unlink(missing_ok=True)
    sync_directory(path.parent)


def sync_directory(directory: Path) -> None:
    """Without it a new name may be lost with the power although the data are not. Raises OSError."""
    descriptor = os.open(directory, os.O_RDONLY)
    try:
        os.fsync(descriptor)
    finally:
        os.close(descriptor)


def write_through(path: Path, data: bytes | memoryview) -> None:
    """Write, down to the disk itself. Raises OSError."""
    with path.open("wb") as file:
        file.write(data)
        file.flush()
        os.fsync(file.fileno())


def _clear_drafts(path: Path) -> None:
    """Those that a kill has left. One that is young may be another worker's, on a volume that they share."""
    for draft in path.parent.glob(f".{glob.escape(path.name)}.*"):
        with contextlib.suppress(OSError):
            if draft.stat().st_mtime < time.time() - ABANDONED_SECONDS:
                draft.unlink()
