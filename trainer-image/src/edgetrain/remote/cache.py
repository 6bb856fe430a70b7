"""What was fetched, on a volume of the node: by its content's hash, whole or not there.

Several pods may share it. A lock of the kernel's says who fetches an entry and who uses one; it goes with its
process, however that ends. Who is killed leaves a draft, with which the next one goes on.
"""

import contextlib
import errno
import fcntl
import hashlib
import os
import shutil
import time
from collections.abc import Callable, Iterator
from pathlib import Path
from typing import NamedTuple

from edgetrain.durable_files import sync_directory
from edgetrain.remote.errors import NoRoom

LOCKS = ".locks"
LOOK_SECONDS = 0.2
FREE_PART = 0.15
"""Of the volume's room: entries that nobody uses go until so much is free. Kubelets that have a tenth left of
the node's disk put pods out."""


class Entry(NamedTuple):
    path: Path
    lock: Path
    """Who shares its lock keeps the entry."""


class Cache:
    """Below one directory, which is made if it is not there."""

    def __init__(self, root: Path, wait: Callable[[float], None] = time.sleep) -> None:
        self._root, self._wait = root, wait
        (root / LOCKS).mkdir(parents=True, exist_ok=True)

    @contextlib.contextmanager
    def entry(self, key: str, fill: Callable[[Path], None]) -> Iterator[Entry]:
        """The directory of this entry, filled if it is not there yet, and in use while the context lasts.

        Args:
            fill: makes the entry in a directory that may hold what an earlier one has left.
        """
        final, draft = self._root / key, self._root / f".{key}.draft"
        handle = os.open(self._lock_file(key), os.O_RDWR | os.O_CREAT, 0o666)
        try:
            while not self._taken(handle, final):
                if final.exists():
                    continue  # It has come, or gone, meanwhile.
                draft.mkdir(exist_ok=True)
                fill(draft)
                sync_directory(draft)
                draft.rename(final)
                sync_directory(self._root)
            os.utime(handle)
            yield Entry(final, self._lock_file(key))
        finally:
            os.close(handle)

    def _taken(self, handle: int, final: Path) -> bool:
        """Locked together with others, and there; False: locked alone, and perhaps not there."""
        while not _lock(handle, kind := fcntl.LOCK_SH if final.exists() else fcntl.LOCK_EX):
            self._wait(LOOK_SECONDS)
        return kind == fcntl.LOCK_SH and final.exists()

    def make_room(self, needed: int) -> None:
        """For `needed` bytes more: entries go that nobody uses, the longest unused first.

        Raises:
            NoRoom: there is not enough even so.
        """
        for lock in sorted((self._root / LOCKS).iterdir(), key=_last_used):
            if self._free() >= needed + FREE_PART * shutil.disk_usage(self._root).total:
                return
            self._drop(lock)
        if self._free() < needed:
            has = f"{self._root} has {self._free() >> 20} MiB free, and {-(-needed >> 20)} are needed"
            raise NoRoom(f"{has}: make room, or give a larger volume")

    def _free(self) -> int:
        return shutil.disk_usage(self._root).free

    def _drop(self, lock: Path) -> None:
        with contextlib.suppress(OSError), lock.open() as handle:
            fcntl.flock(handle, fcntl.LOCK_EX | fcntl.LOCK_NB)
            for leftover in (self._root / lock.name, self._root / f".{lock.name}.draft"):
                # Out of the way first: half an entry must not pass for one.
                gone = self._root / f".{lock.name}.gone"
                with contextlib.suppress(FileNotFoundError):
                    leftover.rename(gone)
                shutil.rmtree(gone, ignore_errors=True)
            # The lock stays: another process may wait for this very file.

    def _lock_file(self, key: str) -> Path:
        return self._root / LOCKS / key


def key_of(*parts: str) -> str:
    """Of an entry, by all that decides on what is in it."""
    return hashlib.sha256("\0".join(parts).encode()).hexdigest()[:32]


def _lock(handle: int, kind: int) -> bool:
    """Whether it could be locked; on a file system that knows no locks always."""
    try:
        fcntl.flock(handle, kind | fcntl.LOCK_NB)
    except BlockingIOError:
        return False
    except OSError as error:
        return error.errno in (errno.ENOLCK, errno.EOPNOTSUPP, errno.ENOSYS)
    return True


def _last_used(lock: Path) -> float:
    try:
        return lock.stat().st_mtime
    except OSError:
        return 0.0
