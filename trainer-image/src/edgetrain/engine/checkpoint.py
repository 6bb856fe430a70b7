"""Checkpoints on a volume: atomic, verified on load, the last few kept.

A worker writes into a directory of its own below the volume, so that several may share one; resuming
looks into all of them. The manifest is written last: without it there is no checkpoint.
"""

import contextlib
import hashlib
import json
import os
import secrets
from dataclasses import dataclass
from pathlib import Path

from edgetrain.engine.errors import BadCheckpoint, BadState
from edgetrain.engine.state import Snapshot, decode

KEEP = 3


@dataclass(frozen=True)
class Manifest:
    """What a checkpoint's .json file says."""

    lineage: int
    step: int
    bytes: int
    sha256: str
    path: Path
    """Of the data file."""
    identity: str
    """Names the point of the history: see Snapshot.identity."""


def write_atomically(path: Path, data: bytes) -> None:
    """The file has its old content or all of the new, also after a power cut.

    Raises:
        OSError: disk full, not writable...; nothing is left behind.
    """
    path.parent.mkdir(parents=True, exist_ok=True)
    draft = path.with_name(f".{path.name}.{secrets.token_hex(4)}")
    try:
        with draft.open("wb") as file:
            file.write(data)
            file.flush()
            os.fsync(file.fileno())
        draft.rename(path)
    finally:
        draft.unlink(missing_ok=True)
    # Without it the new name may be lost with the power although the data are not.
    directory = os.open(path.parent, os.O_RDONLY)
    try:
        os.fsync(directory)
    finally:
        os.close(directory)


class Checkpoints:
    """The checkpoints below one directory."""

    def __init__(self, root: Path, worker: str) -> None:
        self._root, self._own = root, root / (worker or "alone")

    def save(self, lineage: int, step: int, data: bytes, identity: str) -> Manifest:
        """Write an encoded snapshot and forget the oldest of this worker's beyond KEEP.

        Raises:
            OSError: it could not be written; those before it stay.
        """
        path = self._own / f"lineage-{lineage:04d}-step-{step:010d}.pt"
        digest = hashlib.sha256(data).hexdigest()
        write_atomically(path, data)
        said = {"lineage": lineage, "step": step, "bytes": len(data), "sha256": digest, "identity": identity}
        write_atomically(path.with_suffix(".json"), json.dumps(said).encode())
        for old in sorted(self._own.glob("*.json"))[:-KEEP]:
            # The manifest first: data without one are no checkpoint, the other way round is damage.
            for file in (old, old.with_suffix(".pt")):
                file.unlink(missing_ok=True)
        return Manifest(lineage, step, len(data), digest, path, identity)

    def held(self) -> list[Manifest]:
        """All that have a manifest, the newest last. Whether the data are sound shows on loading."""
        return sorted(self._manifests([]), key=lambda m: (m.lineage, m.step))

    def find(self, lineage: int, step: int, identity: str) -> tuple[Snapshot | None, list[BadCheckpoint]]:
        """This one, from whoever holds a valid copy of it here, and what is wrong with other copies."""
        damages: list[BadCheckpoint] = []
        for manifest in self._manifests(damages):
            if (manifest.lineage, manifest.step, manifest.identity) == (lineage, step, identity):
                try:
                    return load(manifest), damages
                except BadCheckpoint as damage:
                    damages.append(damage)
        return None, damages

    def _manifests(self, damages: list[BadCheckpoint]) -> list[Manifest]:
        manifests = []
        for file in self._root.glob("*/lineage-*.json"):
            # Another worker that shares the volume may be clearing up.
            with contextlib.suppress(FileNotFoundError):
                try:
                    manifests.append(_read(file))
                except (ValueError, KeyError, TypeError) as error:
                    damages.append(BadCheckpoint(f"manifest {file} is damaged ({error!r}): delete it"))
        return manifests


def load(manifest: Manifest) -> Snapshot:
    """Read a checkpoint.

    Raises:
        BadCheckpoint: cut short, changed or not readable; names the file and the mend.
    """
    mend = "delete it; the checkpoint before it is used"
    try:
        data = manifest.path.read_bytes()
    except OSError as error:
        why = error.strerror
        raise BadCheckpoint(f"checkpoint {manifest.path} cannot be read ({why}): {mend}") from error
    if len(data) != manifest.bytes:
        raise BadCheckpoint(
            f"checkpoint {manifest.path} is cut short ({len(data)} of {manifest.bytes} bytes): {mend}"
        )
    if hashlib.sha256(data).hexdigest() != manifest.sha256:
        raise BadCheckpoint(f"checkpoint {manifest.path} is damaged (its hash differs): {mend}")
    try:
        return decode(data)
    except BadState as error:
        raise BadCheckpoint(f"checkpoint {manifest.path}: {error}: {mend}") from error


def _read(file: Path) -> Manifest:
    document = json.loads(file.read_text())
    return Manifest(
        lineage=int(document["lineage"]),
        step=int(document["step"]),
        bytes=int(document["bytes"]),
        sha256=str(document["sha256"]),
        path=file.with_suffix(".pt"),
        identity=str(document["identity"]),
    )
