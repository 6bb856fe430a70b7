"""The one write of status: server-side apply, so that what is no longer said is removed."""

from pydantic import ValidationError

from edgetrain_operator.core import condition_updates
from edgetrain_operator.core.model import Job
from edgetrain_operator.core.observe import Raw, time_text
from edgetrain_operator.core.status_before import status_before
from edgetrain_operator.kube.client import Kube
from edgetrain_operator.kube.resources import JOBS
from edgetrain_protocol.status import ConditionType, JobStatus


async def write_status(kube: Kube, job: Job, status: JobStatus) -> None:
    """Raises:
    Conflict: the job was made anew under this name.
    """
    await _apply(kube, job.namespace, job.name, job.uid, status)


async def write_invalid(kube: Kube, raw: Raw, error: ValidationError, now: float) -> None:
    """Say on the job why it cannot be read: it was stored under an older schema."""
    meta = raw["metadata"]
    first = error.errors(include_url=False, include_input=False)[0]
    where = ".".join(str(part) for part in ("spec", *first["loc"]))
    text = f"{where}: {first['msg']}: correct it, or make the job anew"
    before = status_before(raw.get("status"))
    said = [(ConditionType.SCHEDULED, False, "InvalidSpec", text)]
    status = before.model_copy(
        update={
            "observed_generation": meta.get("generation", 0),
            "conditions": condition_updates.update(
                before.conditions, said, time_text(now), meta.get("generation", 0)
            ),
        }
    )
    if status != before:
        await _apply(kube, meta["namespace"], meta["name"], meta["uid"], status)


async def _apply(kube: Kube, namespace: str, name: str, uid: str, status: JobStatus) -> None:
    body = {
        "apiVersion": JOBS.api_version,
        "kind": JOBS.kind,
        # The uid makes it a precondition: nothing of a deleted job gets into its namesake.
        "metadata": {"name": name, "namespace": namespace, "uid": uid},
        "status": status.to_wire(),
    }
    await kube.apply(JOBS, body, "status")
