"""The one write of status: server-side apply, so that what is no longer said is removed.

Only over the job that was read: who has been overtaken by another operator would take back what that one
has said since, and nothing would wake it to say so again; a job would be over no more.
"""

from collections.abc import Mapping

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
    Conflict: somebody wrote to the job since, or made it anew under this name.
    """
    metadata = {"name": job.name, "namespace": job.namespace, "uid": job.uid, "resourceVersion": job.version}
    await _apply(kube, metadata, status)


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
        await _apply(kube, {key: meta[key] for key in _READ}, status)


_READ = ("name", "namespace", "uid", "resourceVersion")
"""The uid too: nothing of a deleted job gets into its namesake."""


async def _apply(kube: Kube, metadata: Mapping[str, str], status: JobStatus) -> None:
    body = {
        "apiVersion": JOBS.api_version,
        "kind": JOBS.kind,
        "metadata": dict(metadata),
        "status": status.to_wire(),
    }
    await kube.apply(JOBS, body, "status")
