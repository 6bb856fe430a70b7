"""One file, fetched to its end: it goes on where it broke off, in this process or in one before."""

import hashlib
import os
from collections.abc import Callable
from pathlib import Path

from edgetrain.remote.errors import HashDiffers, NoRanges, Unreachable
from edgetrain.remote.patience import Patience
from edgetrain.remote.store import READ_BYTES, RemoteStore, shown

Gained = Callable[[int], None]


def download(
    store: RemoteStore, uri: str, sha256: str, file: Path, gained: Gained, patience: Patience
) -> None:
    """Make `file` what `uri` holds, synced to its disk. What is there already is taken for its beginning.

    Args:
        sha256: of the content, in hex.
        gained: called with the number of bytes whenever some have come.

    Raises:
        HashDiffers: twice: what is there is something else. Nothing is left of it.
        RemoteError: it cannot be had, now (Unreachable; what has come is left for the next try) or at all.
        OSError: the disk.
    """
    again = file.exists() and file.stat().st_size > 0
    while True:
        found = _Part(file, gained).complete(store, uri, sha256, patience)
        if found == sha256:
            return
        file.unlink()
        if not again:
            what = f"{shown(uri)} has the sha256 {found}, not {sha256}"
            raise HashDiffers(f"{what}: it was replaced or is damaged; give the right one")
        # The beginning may have been another version's, or lost with the power.
        again = False


class _Part:
    def __init__(self, path: Path, gained: Gained) -> None:
        self._path, self._gained = path, gained
        self._digest, self._size = hashlib.sha256(), 0

    def complete(self, store: RemoteStore, uri: str, sha256: str, patience: Patience) -> str:
        """Fetch what is missing; returns the whole's hash."""
        ranges = True
        with self._path.open("a+b") as file:
            self._read_over(file.fileno())
            while self._digest.hexdigest() != sha256:
                try:
                    if ranges:
                        self._fetch_ranges(store, uri, file.fileno(), patience)
                    else:
                        self._fetch_whole(store, uri, file.fileno())
                    break
                except NoRanges:
                    ranges = False
                except Unreachable as error:
                    patience.pause(error)
            os.fsync(file.fileno())
        return self._digest.hexdigest()

    def _read_over(self, file: int) -> None:
        while data := os.pread(file, READ_BYTES, self._size):
            self._add(data)

    def _fetch_ranges(self, store: RemoteStore, uri: str, file: int, patience: Patience) -> None:
        total = store.size(uri)
        if total is None:
            raise NoRanges
        if total < self._size:
            self._begin_anew(file)
        while self._size < total:
            data = store.read(uri, self._size, min(self._size + READ_BYTES, total))
            self._write(file, data)
            patience.got_on()

    def _fetch_whole(self, store: RemoteStore, uri: str, file: int) -> None:
        self._begin_anew(file)
        total = store.size(uri)
        for data in store.stream(uri):
            self._write(file, data)
        if total is not None and self._size < total:
            raise Unreachable(f"{shown(uri)} broke off: {self._size} of {total} bytes came")

    def _begin_anew(self, file: int) -> None:
        os.ftruncate(file, 0)
        self._gained(-self._size)
        self._digest, self._size = hashlib.sha256(), 0

    def _write(self, file: int, data: bytes) -> None:
        view = memoryview(data)
        while view:
            view = view[os.write(file, view) :]
        self._add(data)

    def _add(self, data: bytes) -> None:
        self._digest.update(data)
        self._size += len(data)
        self._gained(len(data))
