"""Checkpoints on a volume: atomic, verified on load, the last few kept.

A worker writes into a directory of its own below the volume, so that several may share one; resuming
looks into all of them. The manifest is written last: without it there is no checkpoint.
"""

import contextlib
import hashlib
from collections.abc import Callable, Iterator
from pathlib import Path

from edgetrain.directory_lock import locked
from edgetrain.durable_files import write_durably
from edgetrain.engine.errors import BadCheckpoint, BadState
from edgetrain.engine.state import manifest
from edgetrain.engine.state.manifest import Manifest
from edgetrain.engine.state.snapshot import Snapshot, decode, encode
from edgetrain_protocol.history import History

KEEP = 3
LOCK_SECONDS = 5.0
"""For another process of this worker to end its writing: a pod whose deletion was forced may live on."""


class Checkpoints:
    """The checkpoints below one directory."""

    def __init__(
        self, root: Path, worker: str, job: str = "", restore: Callable[[Manifest], None] = lambda saved: None
    ) -> None:
        """`job`: its uid. What another job has below `root`, or had, is none of this one's. `restore`: gets
        the data of one of which there is only the manifest here."""
        self._root, self._job, self._restore = root / job, job, restore
        self._own = self._root / (worker or "alone")

    @property
    def of_the_store(self) -> Path:
        """For what the remote store says of those that it holds."""
        return self._root / "remote"

    @property
    def own(self) -> Path:
        """Where this worker writes."""
        return self._own

    def save(self, snapshot: Snapshot) -> Manifest:
        """Write a snapshot and forget the oldest of this worker's beyond KEEP.

        Raises:
            OSError: it could not be written; those before it stay.
        """
        data, history, step = encode(snapshot), snapshot.position.history, snapshot.position.committed
        path = self._own / f"{manifest.stem(history, step)}.pt"
        digest = hashlib.sha256(data).hexdigest()
        saved = Manifest(history, step, len(data), digest, path, snapshot.identity, self._job)
        self._own.mkdir(parents=True, exist_ok=True)
        with locked(self._own, LOCK_SECONDS) as alone:
            if alone:
                self._clear()
            # One of the same name would be damage as soon as its data are replaced.
            path.with_suffix(".json").unlink(missing_ok=True)
            path.parent.mkdir(parents=True, exist_ok=True)
            write_durably(path, data)
            write_durably(path.with_suffix(".json"), saved.to_json().encode())
            self._forget_before(saved)
        return saved

    def clear(self) -> None:
        """Remove what killed writers have left in this worker's directory, unless one is writing there."""
        with contextlib.suppress(OSError), locked(self._own) as alone:
            if alone:
                self._clear()

    def held(self) -> list[Manifest]:
        """All that have a manifest, the newest last. Whether the data are sound shows on loading."""
        return sorted(self._of_this_job([]), key=lambda m: m.place)

    def find(self, history: History, step: int, identity: str) -> tuple[Snapshot | None, list[BadCheckpoint]]:
        """This one, from whoever holds a valid copy of it here, and what is wrong with other copies.

        This worker's own before others': it has what this worker carried from step to step.
        """
        damages: list[BadCheckpoint] = []
        found = self._of_this_job(damages)
        for candidate in sorted(found, key=self._nearest):
            if (*candidate.place, candidate.identity) == (history, step, identity):
                try:
                    if not candidate.path.exists():
                        self._restore(candidate)
                    return load(candidate), damages
                except BadCheckpoint as damage:
                    damages.append(damage)
        return None, damages

    def _nearest(self, saved: Manifest) -> tuple[bool, bool]:
        return saved.path.parent != self._own, not saved.path.exists()

    def _of_this_job(self, damages: list[BadCheckpoint]) -> list[Manifest]:
        found = _manifests(self._root.glob("*/lineage-*.json"), damages)
        return [m for m in found if m.job == self._job]

    def _forget_before(self, saved: Manifest) -> None:
        """Not what is beyond it: that is an earlier job's on this volume, or a later generation's where this
        process is a pod's that was given up. Nor what is damaged: somebody is told to look at it."""
        own = _manifests(self._own.glob("lineage-*.json"), [])
        same = (m for m in own if m.history.group == saved.history.group)
        older = sorted((m for m in same if m.place < saved.place), key=lambda m: m.place)
        for old in older[: 1 - KEEP]:
            # The manifest first: data without one are no checkpoint, the other way round is damage.
            for file in (old.path.with_suffix(".json"), old.path):
                file.unlink(missing_ok=True)

    def _clear(self) -> None:
        """With the lock held, whatever is unfinished will stay so."""
        drafts = self._own.glob(".lineage-*")
        orphans = (f for f in self._own.glob("lineage-*.pt") if not f.with_suffix(".json").exists())
        for file in [*drafts, *orphans]:
            with contextlib.suppress(OSError):
                file.unlink()


def load(saved: Manifest) -> Snapshot:
    """Read a checkpoint.

    Raises:
        BadCheckpoint: cut short, changed or not readable; names the file and the mend.
    """
    mend = "delete it; the checkpoint before it is used"
    try:
        data = saved.path.read_bytes()
    except OSError as error:
        why = error.strerror
        raise BadCheckpoint(f"checkpoint {saved.path} cannot be read ({why}): {mend}") from error
    if len(data) != saved.bytes:
        raise BadCheckpoint(
            f"checkpoint {saved.path} is cut short ({len(data)} of {saved.bytes} bytes): {mend}"
        )
    if hashlib.sha256(data).hexdigest() != saved.sha256:
        raise BadCheckpoint(f"checkpoint {saved.path} is damaged (its hash differs): {mend}")
    try:
        snapshot = decode(data)
    except BadState as error:
        raise BadCheckpoint(f"checkpoint {saved.path}: {error}: {mend}") from error
    held = snapshot.position.history, snapshot.position.committed
    if held != saved.place:
        what = f"holds {held[0]}, step {held[1]}, which is not what its name says"
        raise BadCheckpoint(f"checkpoint {saved.path} {what}: {mend}")
    return snapshot


def _manifests(files: Iterator[Path], damages: list[BadCheckpoint]) -> list[Manifest]:
    """Those that can be believed; what is wrong with the others is added to `damages`."""
    found = []
    for file in files:
        with contextlib.suppress(FileNotFoundError):
            try:
                found.append(manifest.read(file))
            except BadCheckpoint as damage:
                damages.append(damage)
    return found
