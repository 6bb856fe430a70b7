"""A directory that one process at a time writes in, whoever else has it mounted."""

import contextlib
import errno
import fcntl
import os
import time
from collections.abc import Iterator
from pathlib import Path


@contextlib.contextmanager
def locked(directory: Path, patience: float = 0.0) -> Iterator[bool]:
    """Whether nobody else writes there: false where the file system knows no locks. The kernel takes a
    killed process's lock away; all pods of a worker are on one node.

    Raises:
        OSError: somebody writes there for longer than `patience` seconds; or there is no such directory.
    """
    handle, due = os.open(directory, os.O_RDONLY), time.monotonic() + patience
    try:
        yield _lock(handle, due)
    finally:
        os.close(handle)


def _lock(handle: int, due: float) -> bool:
    while True:
        try:
            fcntl.flock(handle, fcntl.LOCK_EX | fcntl.LOCK_NB)
        except BlockingIOError as error:
            if time.monotonic() >= due:
                raise OSError(errno.EBUSY, "another process of this worker is writing there") from error
            time.sleep(0.1)
        except OSError:
            return False
        else:
            return True
