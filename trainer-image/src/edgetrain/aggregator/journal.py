"""The log of one holder on its disk. What it has promised and stored is there before anybody is told.

A file of lines. The first has the whole log, each one behind it what has changed since: so a promise or an
entry costs one line, whatever stands before it. Where entries are cut off, the file is written anew.
"""

import logging
import os
import zlib
from io import FileIO
from pathlib import Path

from msgspec import Struct

from edgetrain.aggregator.documents import BadDocument, decode, encode
from edgetrain.durable_files import write_durably
from edgetrain.rounds.log import Entry, Log

log = logging.getLogger(__name__)

_CHECK = 9
"""Bytes of a line's checksum, and a space."""


class BadJournal(RuntimeError):
    """It can be neither read nor written: a holder that went on might break its promises."""


class Change(Struct, frozen=True):
    promised: int
    committed: int
    kept: int
    """Entries up to this index stay, and `entries` are all that is behind them."""
    entries: tuple[Entry, ...]


class Journal:
    """Of one thread."""

    def __init__(self, path: Path) -> None:
        """
        Raises:
            BadJournal: it cannot be read, or is damaged.
        """
        self.path = path
        self._file: FileIO | None = None
        self._size = 0
        self.kept = self._read()
        """The log as it would survive a power cut. None before the first."""

    def keep(self, wanted: Log) -> None:
        """Once this returns the log survives a power cut.

        Raises:
            BadJournal: the disk is full, or does not take it. What was kept before still is.
        """
        if wanted == self.kept:
            return
        try:
            if self._file is None or self._differs_below(wanted):
                self._write_anew(wanted)
            else:
                self._append(wanted)
        except OSError as error:
            raise BadJournal(
                f"{self.path} cannot be written: {error}; make room on the node's disk"
            ) from error
        self.kept = wanted

    def close(self) -> None:
        if self._file is not None:
            self._file.close()
            self._file = None

    # --- within

    def _differs_below(self, wanted: Log) -> bool:
        kept = self.kept
        return kept is None or (kept.cut, kept.books) != (wanted.cut, wanted.books)

    def _write_anew(self, wanted: Log) -> None:
        line = _line(encode(wanted))
        write_durably(self.path, line)
        self.close()
        # Without a buffer: one would write later what a full disk has refused.
        self._file, self._size = self.path.open("ab", buffering=0), len(line)

    def _append(self, wanted: Log) -> None:
        assert self._file is not None and self.kept is not None
        line = _line(encode(_change(self.kept, wanted)))
        try:
            left = memoryview(line)
            while left:
                left = left[self._file.write(left) :]
            os.fsync(self._file.fileno())
        except OSError:
            # Part of a line in the middle would be damage to whoever reads it. Where not even that can be
            # mended the file is written anew the next time.
            self._forget_part_of_a_line()
            raise
        self._size += len(line)

    def _forget_part_of_a_line(self) -> None:
        assert self._file is not None
        try:
            os.ftruncate(self._file.fileno(), self._size)
        except OSError as error:
            log.warning("%s keeps part of a line: %s", self.path, error)
            self.close()

    def _read(self) -> Log | None:
        try:
            data = self.path.read_bytes()
        except FileNotFoundError:
            return None
        except OSError as error:
            raise BadJournal(f"{self.path} cannot be read: {error}") from error
        whole, _, _torn = data.rpartition(b"\n")
        try:
            found = _replayed(whole.split(b"\n"))
        except (BadDocument, ValueError) as error:
            mend = "take it away, and the holder begins anew as another"
            raise BadJournal(f"{self.path} is damaged: {error}; {mend}") from error
        return found


def _change(before: Log, after: Log) -> Change:
    """Both are cut at one place."""
    same = 0
    for one, other in zip(before.entries, after.entries, strict=False):
        if one != other:
            break
        same += 1
    return Change(after.promised, after.committed, after.cut.index + same, after.entries[same:])


def _replayed(lines: list[bytes]) -> Log:
    found = decode(_content(lines[0]), Log)
    for line in lines[1:]:
        change = decode(_content(line), Change)
        kept = found.entries[: change.kept - found.cut.index]
        found = Log(change.promised, (*kept, *change.entries), change.committed, found.cut, found.books)
    return found


def _line(content: bytes) -> bytes:
    return b"%08x %s\n" % (zlib.crc32(content), content)


def _content(line: bytes) -> bytes:
    check, content = line[:_CHECK], line[_CHECK:]
    if check != b"%08x " % zlib.crc32(content):
        raise ValueError(f"a line is not as it was written: {line[:60]!r}")
    return content
