"""What pods of a job are known by, made as the operator makes it."""

import tempfile
from datetime import UTC, datetime
from functools import cache
from pathlib import Path

from edgetrain.credentials import Credentials
from edgetrain_operator.fleet import ca
from edgetrain_operator.fleet.fleet import Fleet
from edgetrain_operator.fleet.keyring import Keyring, renewed
from edgetrain_protocol.plan import Plan
from edgetrain_protocol.signed_plan import SignedPlan, signed_content

JOB = "job"


def sign(plan: Plan, by: Keyring | None = None) -> SignedPlan:
    """As the operator serves it."""
    text = plan.model_dump_json(by_alias=True, exclude_none=True)
    return SignedPlan(text=text, signature=signature_of(text, by))


def signature_of(text: str, by: Keyring | None = None) -> str:
    """The operator's, under whatever the text says."""
    return ca.sign((by or keyring()).authorities[0], signed_content(text))


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


def kept_credentials(worker: str, job: str = JOB) -> Credentials:
    """Of a pod of this worker whose volume is gone: what was read is kept."""
    with tempfile.TemporaryDirectory() as folder:
        ours = credentials(Path(folder), worker, job)
        assert ours.server and ours.client
        return ours


def credentials(
    directory: Path, worker: str, job: str = JOB, by: Keyring | None = None, pod_uid: str = ""
) -> Credentials:
    """A pod's of this worker."""
    identity = write_identity(directory / f"{job}-{worker}{pod_uid}", worker, pod_uid, job=job, by=by)
    return Credentials(identity, identity / "authorities.crt", job)
