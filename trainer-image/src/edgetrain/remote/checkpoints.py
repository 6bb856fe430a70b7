"""Checkpoints in a store: in pieces, of which those that are there are not sent again.

NAME.json, which comes last, is what the worker wrote beside its data. Those are NAME-HASH/00000, 00001 and so
on, of one size each.
"""

import hashlib
import json
import os
import re
import time
from collections.abc import Iterator
from pathlib import Path
from typing import NamedTuple, Self

from edgetrain.durable_files import write_durably
from edgetrain.remote.download import Gained
from edgetrain.remote.errors import BadSource, HashDiffers
from edgetrain.remote.pace import Pace
from edgetrain.remote.patience import Patience
from edgetrain.remote.store import RemoteStore

KEEP = 2
PIECE_BYTES = 4 << 20
MOST_BYTES = 4096
"""Of what is said of one."""
MOST_LISTED = 64
_NAME = re.compile(r"lineage-(\d+)-([a-z0-9-]+)-(\d+)-step-(\d+)")


class _Place(NamedTuple):
    group: str
    age: tuple[int, int, int]
    """Lineage, generation and step: the higher the newer."""

    @classmethod
    def of(cls, name: str) -> Self | None:
        found = _NAME.match(name)
        return cls(found[2], (int(found[1]), int(found[3]), int(found[4]))) if found else None


class Data(NamedTuple):
    """Of one checkpoint, as its manifest says."""

    name: str
    bytes: int
    sha256: str

    @classmethod
    def of(cls, manifest: Path) -> Self:
        """Raises BadSource: it is none."""
        try:
            said = json.loads(manifest.read_bytes()[:MOST_BYTES])
            size, sha256 = int(said["bytes"]), str(said["sha256"])
            if size < 0 or not re.fullmatch("[0-9a-f]{64}", sha256):
                raise ValueError(sha256)
        except (ValueError, KeyError, TypeError) as error:
            raise BadSource(f"{manifest} says nothing of a checkpoint: {error!r}") from error
        return cls(manifest.stem, size, sha256)

    @property
    def directory(self) -> str:
        return f"{self.name}-{self.sha256[:16]}"

    def pieces(self) -> Iterator[tuple[str, int, int]]:
        """Name, start and length."""
        for number, start in enumerate(range(0, self.bytes, PIECE_BYTES)):
            yield f"{self.directory}/{number:05d}", start, min(PIECE_BYTES, self.bytes - start)


class RemoteCheckpoints:
    """A job's, below `uri`."""

    def __init__(self, store: RemoteStore, uri: str, patience: Patience, gained: Gained) -> None:
        self._store, self._uri = store, uri.rstrip("/")
        self._patience, self._gained = patience, gained

    def mirror(self, directory: Path) -> None:
        """Have what is said of them in `directory`; what is there of others goes, with its data."""
        directory.mkdir(parents=True, exist_ok=True)
        names = self._patience.ask(lambda: self._store.names(self._uri))
        there = sorted((n for n in names if n.endswith(".json") and _Place.of(n)), reverse=True)[:MOST_LISTED]
        for old in directory.glob("lineage-*.json"):
            if old.name not in there:
                old.unlink(missing_ok=True)
                old.with_suffix(".pt").unlink(missing_ok=True)
        for name in there:
            said = self._small(name)
            write_durably(directory / name, said)

    def restore(self, manifest: Path) -> None:
        """Have its data beside it, as they were."""
        data = Data.of(manifest)
        draft = manifest.with_name(f".{manifest.stem}.draft")
        with draft.open("a+b") as file:
            done = draft.stat().st_size // PIECE_BYTES * PIECE_BYTES
            file.truncate(done)
            for name, start, length in data.pieces():
                if start >= done:
                    file.write(self._piece(name, length))
                    self._gained(length)
            file.flush()
            os.fsync(file)
        with draft.open("rb") as file:
            found = hashlib.file_digest(file, "sha256").hexdigest()
        if found != data.sha256:
            draft.unlink()
            raise HashDiffers(
                f"{self._uri}/{data.name} is damaged: it has the sha256 {found}, not {data.sha256}"
            )
        draft.rename(manifest.with_suffix(".pt"))

    def push(self, manifest: Path, pace: Pace | None) -> None:
        """Have the store hold it, and forget older ones of its group beyond KEEP."""
        said = manifest.read_bytes()
        data = Data.of(manifest)
        # Open all the while: whoever wrote it may remove it for a newer one.
        with manifest.with_suffix(".pt").open("rb") as file:
            there = self._patience.ask(lambda: self._store.names(f"{self._uri}/{data.directory}"))
            for name, start, length in data.pieces():
                if there.get(name.rpartition("/")[2]) != length:
                    self._send(name, os.pread(file.fileno(), length, start), pace)
        self._patience.ask(lambda: self._store.write(f"{self._uri}/{data.name}.json", said))
        self._forget_before(data)

    def _small(self, name: str) -> bytes:
        return self._patience.ask(lambda: self._store.small(f"{self._uri}/{name}", MOST_BYTES))

    def _piece(self, name: str, length: int) -> bytes:
        return self._patience.ask(lambda: self._store.read(f"{self._uri}/{name}", 0, length))

    def _send(self, name: str, piece: bytes, pace: Pace | None) -> None:
        began = time.monotonic()
        self._patience.ask(lambda: self._store.write(f"{self._uri}/{name}", piece))
        self._gained(len(piece))
        if pace:
            pace.after(len(piece), time.monotonic() - began)

    def _forget_before(self, data: Data) -> None:
        """Not what is beyond it: that is a later generation's, where this worker is one that was given up.
        What is said of one goes first: data alone are none."""
        newest = _Place.of(data.name)
        names = self._patience.ask(lambda: self._store.names(self._uri))
        placed = {name: place for name in names if (place := _Place.of(name))}
        older = [
            (p.age, n) for n, p in placed.items() if newest and p.group == newest.group and p.age < newest.age
        ]
        kept = sorted({age for age, name in older if name.endswith(".json")}, reverse=True)[: KEEP - 1]
        for age, name in sorted(older, key=lambda item: not item[1].endswith(".json")):
            if age in kept:
                continue
            remove = self._store.remove if name.endswith(".json") else self._store.remove_directory
            remove(f"{self._uri}/{name}")
