"""What a checkpoint's .json file says, and whether it can be believed."""

import json
import re
import stat
from dataclasses import dataclass
from pathlib import Path
from typing import Any

from edgetrain.engine.errors import BadCheckpoint
from edgetrain_protocol.history import GROUP_NAME, History, first_of

MOST_BYTES = 4096
"""Of a manifest; ours have some 150."""
HIGHEST = 2**63 - 1
_DIGEST = re.compile(r"[0-9a-f]{64}")


@dataclass(frozen=True)
class Manifest:
    """Names one checkpoint and its bytes."""

    history: History
    step: int
    bytes: int
    sha256: str
    path: Path
    """Of the data file."""
    identity: str
    """Names the point of the history: see Snapshot.identity."""
    job: str
    """Uid of the job that it is of: a volume may outlive its job."""

    @property
    def place(self) -> tuple[History, int]:
        """Sorts checkpoints of one group by age."""
        return self.history, self.step

    def to_json(self) -> str:
        place = {"history": list(self.history), "step": self.step}
        content = {"bytes": self.bytes, "sha256": self.sha256}
        return json.dumps({**place, **content, "identity": self.identity, "job": self.job})


def stem(history: History, step: int) -> str:
    """Of both files' names."""
    lineage, group, generation = history
    return f"lineage-{lineage:04d}-{group}-{generation:04d}-step-{step:010d}"


def _stem_before_groups(history: History, step: int) -> str:
    return f"lineage-{history.lineage:04d}-step-{step:010d}"


def read(file: Path) -> Manifest:
    """Read a manifest.

    Raises:
        FileNotFoundError: it is gone: another worker that shares the volume may be clearing up.
        BadCheckpoint: it is none, or of another checkpoint than its name says.
    """
    try:
        document = json.loads(_content(file))
        manifest = _manifest(document, file.with_suffix(".pt"))
        named = stem if "history" in document else _stem_before_groups
        if file.stem != named(*manifest.place):
            raise ValueError(f"it is of {manifest.history}, step {manifest.step}")
    except FileNotFoundError:
        raise
    # A few thousand brackets are a RecursionError.
    except (OSError, ValueError, KeyError, TypeError, RecursionError) as error:
        raise BadCheckpoint(f"manifest {file} is damaged ({error!r}): delete it") from error
    return manifest


def _content(file: Path) -> bytes:
    # To open a pipe would wait for ever.
    if not stat.S_ISREG(file.stat().st_mode):
        raise ValueError("it is no file")
    with file.open("rb") as opened:
        data = opened.read(MOST_BYTES + 1)
    if len(data) > MOST_BYTES:
        raise ValueError(f"it is longer than {MOST_BYTES} bytes")
    return data


def _manifest(document: Any, path: Path) -> Manifest:
    history = _history(document)
    step, size = (_count(document[name], name) for name in ("step", "bytes"))
    digest, identity = (_hash(document, name) for name in ("sha256", "identity"))
    job = document["job"]
    if not isinstance(job, str):
        raise ValueError("job is no text")
    return Manifest(history, step, size, digest, path, identity, job)


def _history(document: Any) -> History:
    if "history" not in document:
        return first_of(_count(document["lineage"], "lineage"))
    lineage, group, generation = document["history"]
    if not isinstance(group, str) or not re.fullmatch(GROUP_NAME, group):
        raise ValueError("its group is no name")
    return History(_count(lineage, "lineage"), group, _count(generation, "generation"))


def _hash(document: Any, name: str) -> str:
    value = document[name]
    if not isinstance(value, str) or not _DIGEST.fullmatch(value):
        raise ValueError(f"{name} is no hash")
    return value


def _count(value: Any, name: str) -> int:
    """JSON in Python also knows true, 1e400 and NaN, none of which counts anything."""
    if type(value) is not int or not 0 <= value <= HIGHEST:
        raise ValueError(f"{name} is no count")
    return value
