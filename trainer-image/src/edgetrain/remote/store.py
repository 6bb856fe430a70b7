"""A remote store: what we ask of it, with errors that say what is wrong."""

import contextlib
from collections.abc import Callable, Iterator
from pathlib import Path
from typing import TypeVar

from edgetrain.remote import file_systems
from edgetrain.remote.errors import AccessDenied, NoRanges, NotFound, RemoteError, Unreachable
from edgetrain.remote.keys import Keys

READ_BYTES = 1 << 20
Answer = TypeVar("Answer")


class RemoteStore:
    """That of an address; others of it are reached by the same. Methods raise RemoteError."""

    def __init__(self, uri: str, keys: Keys) -> None:
        scheme = file_systems.scheme_of(uri)
        self._ranged_files, self._renames = scheme.startswith("http"), scheme == "file"
        self._keys = keys
        self._fs = file_systems.file_system(uri, keys)

    def size(self, uri: str) -> int | None:
        """Bytes of a file; None where the server does not say."""
        size = self._asked(uri, lambda: self._fs.info(uri))["size"]
        return None if size is None else int(size)

    def read(self, uri: str, start: int, end: int) -> bytes:
        """Bytes of a file from `start` to before `end`, all of them.

        Raises:
            NoRanges: the server has none but from the beginning.
        """
        data = self._asked(uri, lambda: self._range(uri, start, end))
        if len(data) != end - start:
            raise Unreachable(f"{shown(uri)} broke off: {len(data)} of {end - start} bytes came")
        return data

    def stream(self, uri: str) -> Iterator[bytes]:
        """A file from its beginning, by what comes."""
        with contextlib.closing(self._asked(uri, lambda: self._fs.open(uri, "rb", block_size=0))) as file:
            while data := self._asked(uri, lambda: bytes(file.read(READ_BYTES))):
                yield data

    def small(self, uri: str, most: int) -> bytes:
        """A file of `most` bytes at most.

        Raises:
            BadSource: it is larger.
        """
        size = self.size(uri)
        if size is None:
            return self._asked(uri, lambda: bytes(self._fs.cat_file(uri)))[:most]
        return self.read(uri, 0, min(size, most))

    def names(self, uri: str) -> dict[str, int]:
        """What is in a directory, with its size; nothing where there is no such directory."""
        try:
            found = self._asked(uri, lambda: self._fs.ls(uri.rstrip("/"), detail=True))
        except NotFound:
            return {}
        return {str(entry["name"]).rstrip("/").rpartition("/")[2]: int(entry["size"] or 0) for entry in found}

    def write(self, uri: str, data: bytes) -> None:
        """Replace a file: whoever reads it finds the old one or the new one."""
        if not self._renames:
            self._asked(uri, lambda: self._fs.pipe_file(uri, data))
            return
        draft = f"{uri}.draft"
        self._asked(uri, lambda: self._fs.pipe_file(draft, data))
        self._asked(uri, lambda: self._fs.mv(draft, uri))

    def put(self, uri: str, file: Path) -> None:
        """The same with a file of ours, which need not fit into memory."""
        draft = f"{uri}.draft" if self._renames else uri
        self._asked(uri, lambda: self._fs.put_file(str(file), draft))
        if self._renames:
            self._asked(uri, lambda: self._fs.mv(draft, uri))

    def remove(self, uri: str) -> None:
        """A file, if it is there."""
        with contextlib.suppress(NotFound):
            self._asked(uri, lambda: self._fs.rm_file(uri))

    def remove_directory(self, uri: str) -> None:
        """With the files in it."""
        for name in self.names(uri):
            self.remove(f"{uri}/{name}")
        if self._renames:
            self._asked(uri, lambda: self._fs.rmdir(uri))

    def _range(self, uri: str, start: int, end: int) -> bytes:
        if start == end:
            return b""
        if not self._ranged_files:
            return bytes(self._fs.cat_file(uri, start=start, end=end))
        # That one sees it where a server sends the whole file, before it is in memory.
        with self._fs.open(uri, "rb", block_size=end - start, size=end, cache_type="none") as file:
            file.seek(start)
            try:
                return bytes(file.read(end - start))
            except ValueError as error:
                raise NoRanges from error

    def _asked(self, uri: str, ask: Callable[[], Answer]) -> Answer:
        try:
            return ask()
        except (RemoteError, NoRanges):
            raise
        except Exception as error:
            raise _known(uri, error, secret=bool(self._keys)) from error


def shown(uri: str) -> str:
    """For people: what comes after a question mark may be a key."""
    return uri.partition("?")[0]


def _known(uri: str, error: BaseException, *, secret: bool) -> RemoteError:
    at = shown(uri)
    status = next((code for e in _chain(error) if isinstance(code := getattr(e, "status", None), int)), 0)
    names = {type(e).__name__ for e in _chain(error)}
    denied = {"PermissionError", "PermissionDeniedError", "UnauthenticatedError"}
    if status in (401, 403) or names & denied:
        mend = "check the Secret's keys" if secret else "name a Secret that holds its keys"
        return AccessDenied(f"{at}: access denied: {mend}")
    # HTTPFileSystem says of all that goes wrong that there is no such file; the cause tells.
    only = names <= {"FileNotFoundError", "IsADirectoryError", "NotADirectoryError"}
    if status in (404, 410) or (only and not status):
        return NotFound(f"{at}: nothing is there: check the address")
    return Unreachable(f"{at}: {_said(error).replace(uri, at)}")


def _chain(error: BaseException | None) -> Iterator[BaseException]:
    while error is not None:
        yield error
        error = error.__cause__


def _said(error: BaseException) -> str:
    *_, root = _chain(error)
    text = " ".join(str(root).split())[:400]
    return f"{type(root).__name__}: {text}" if text else type(root).__name__
