"""What pods of a job are known by, made as the operator makes it."""

import tempfile
from datetime import UTC, datetime
from functools import cache
from pathlib import Path

from edgetrain.credentials import Credentials
from edgetrain_operator.fleet import ca
from edgetrain_operator.fleet.fleet import Fleet
from edgetrain_operator.fleet.keyring import Keyring, renewed

JOB = "job"


@cache
def keyring() -> Keyring:
    """The operator's, of this process."""
    return renewed(None, datetime.now(UTC))


def stranger() -> Keyring:
    """Another operator's."""
    return renewed(None, datetime.now(UTC))


def write_identity(
    directory: Path, worker: str, pod_uid: str = "", job: str = JOB, by: Keyring | None = None
) -> Path:
    """What is mounted into this worker's pod, and beside it the authorities (`authorities.crt`)."""
    by = by or keyring()
    directory.mkdir(parents=True, exist_ok=True)
    for name, text in Fleet(by).identity(job, worker, pod_uid or f"pod-{worker}").items():
        (directory / name).write_text(text)
    (directory / "authorities.crt").write_text(ca.bundle(by.authorities))
    return directory


def kept_credentials(worker: str) -> Credentials:
    """Of a pod of this worker whose volume is gone: what was read is kept."""
    with tempfile.TemporaryDirectory() as folder:
        ours = credentials(Path(folder), worker)
        assert ours.server and ours.client
        return ours


def credentials(directory: Path, worker: str, job: str = JOB, by: Keyring | None = None) -> Credentials:
    """A pod's of this worker."""
    identity = write_identity(directory / f"{job}-{worker}", worker, job=job, by=by)
    return Credentials(identity, identity / "authorities.crt", job)
