"""What a job names by an address: a file, an archive, or a directory with its list of hashes."""

import hashlib
import os
import shutil
from collections.abc import Callable, Iterator
from contextlib import contextmanager
from dataclasses import dataclass
from pathlib import Path, PurePosixPath
from typing import TypeVar
from urllib.parse import unquote, urlsplit

from edgetrain.durable_files import sync_directory
from edgetrain.remote import sums
from edgetrain.remote.archives import is_archive, unpack
from edgetrain.remote.cache import Cache, Entry, key_of
from edgetrain.remote.download import Gained, download
from edgetrain.remote.errors import Unreachable
from edgetrain.remote.file_systems import below
from edgetrain.remote.keys import Keys
from edgetrain.remote.patience import Patience
from edgetrain.remote.store import RemoteStore

Answer = TypeVar("Answer")

NAMES = ".names"
UNPACKED = "unpacked"


@dataclass(frozen=True)
class Source:
    """`sha256`: of the file, or of the list of a directory; empty: what lies beside the file says it."""

    uri: str
    sha256: str = ""

    @property
    def is_directory(self) -> bool:
        return self.uri.endswith("/")

    @property
    def main(self) -> str:
        """The address of what the hash is of."""
        return f"{self.uri}{sums.SUMS_FILE}" if self.is_directory else self.uri

    @property
    def name(self) -> str:
        return PurePosixPath(unquote(urlsplit(self.main).path)).name


class Fetcher:
    """Of one source, into a cache."""

    def __init__(
        self,
        source: Source,
        root: Path,
        keys: Keys,
        gained: Gained = lambda count: None,
        patience: Callable[[], Patience] = Patience,
    ) -> None:
        self._source, self._keys, self._gained = source, keys, gained
        self._root, self._patience = root, patience
        self._cache = Cache(root)
        self._opened: RemoteStore | None = None

    @contextmanager
    def fetched(self) -> Iterator[Entry]:
        """The directory with what the source holds, which stays while the context lasts: a directory's files,
        what an archive holds, or the one file under its name.

        Raises:
            RemoteError: it cannot be had.
            OSError: the disk.
        """
        sha256 = self._source.sha256 or self._told()
        # By content and name, which says how it is unpacked: from another address it is the same.
        key = key_of(sha256, self._source.name)
        with self._cache.entry(key, lambda draft: self._fill(draft, sha256)) as entry:
            yield entry._replace(path=entry.path / UNPACKED)

    def _store(self) -> RemoteStore:
        if self._opened is None:
            self._opened = RemoteStore(self._source.uri, self._keys)
        return self._opened

    def _told(self) -> str:
        """By the store; while that cannot be reached, as it was told last."""
        note = self._root / NAMES / key_of(self._source.uri)
        try:
            sha256 = self._patiently(self._asked, endless=not note.exists())
        except Unreachable:
            return note.read_text()
        note.parent.mkdir(exist_ok=True)
        new = note.with_suffix(f".{os.getpid()}")
        new.write_text(sha256)
        new.replace(note)
        return sha256

    def _asked(self) -> str:
        if self._source.is_directory:
            return hashlib.sha256(self._list()).hexdigest()
        return sums.beside(self._store(), self._source.uri)

    def _patiently(self, ask: Callable[[], Answer], *, endless: bool = True) -> Answer:
        patience = self._patience()
        patience.endless &= endless
        return patience.ask(ask)

    def _list(self) -> bytes:
        return self._store().small(self._source.main, sums.MOST_BYTES)

    def _fill(self, draft: Path, sha256: str) -> None:
        unpacked = draft / UNPACKED
        unpacked.mkdir(exist_ok=True)
        if self._source.is_directory:
            self._fill_directory(draft, unpacked, sha256)
        elif is_archive(self._source.name):
            archive = draft / "archive"
            self._get(self._source.uri, sha256, archive, parts=3)
            shutil.rmtree(unpacked)
            unpacked.mkdir()
            unpack(archive, self._source.name, unpacked)
            archive.unlink()
        else:
            self._get(self._source.uri, sha256, unpacked / self._source.name)
        _sync_all(unpacked)

    def _fill_directory(self, draft: Path, unpacked: Path, sha256: str) -> None:
        listing = draft / sums.SUMS_FILE
        self._get(self._source.main, sha256, listing)
        files = sums.listed(listing.read_text(errors="replace"), self._source.main)
        for name, digest in files.items():
            file = unpacked / name
            file.parent.mkdir(parents=True, exist_ok=True)
            self._get(below(self._source.uri, name), digest, file)

    def _get(self, uri: str, sha256: str, file: Path, parts: int = 1) -> None:
        """`parts`: how many times its size is needed."""
        if not file.exists():
            size = self._patiently(lambda: self._store().size(uri))
            self._cache.make_room(parts * (size or 0))
        download(self._store(), uri, sha256, file, self._gained, self._patience())


def _sync_all(directory: Path) -> None:
    """What is unpacked was not synced file by file; names are never."""
    for folder, _, names in os.walk(directory):
        for file in (Path(folder) / name for name in names):
            if file.is_symlink():
                continue
            with file.open("rb") as opened:
                os.fsync(opened)
        sync_directory(Path(folder))
