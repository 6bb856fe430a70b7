"""What all pods of a job mount, the CA's ConfigMap and the token's Secret: there while one may start."""

import time

from edgetrain_operator.core import children, lifecycle
from edgetrain_operator.core.model import CA, TOKEN, Create, Job, Observed
from edgetrain_operator.kube.client import Kube
from edgetrain_operator.kube.errors import KubeError
from edgetrain_operator.kube.resources import CONFIG_MAPS
from edgetrain_operator.runtime.execute import Execution
from edgetrain_operator.runtime.memory import JobMemory

LOOK_SECONDS = 30.0
"""So often they are written while a pod does not start: somebody may have deleted what it waits for."""


async def ensure_mounts(kube: Kube, seen: Observed, bundle: str, memory: JobMemory, doing: Execution) -> None:
    """Write what is new or may be missing; what is refused is in the memory."""
    waits = any(pod.living and not pod.deleting and pod.phase == "Pending" for pod in seen.pods)
    missed = waits and time.monotonic() - memory.mounts_written >= LOOK_SECONDS
    if (memory.ca_bundle != bundle or missed) and not lifecycle.is_over(seen.job.status):
        if not await _write_ca(kube, seen.job, bundle, doing):
            return
        memory.ca_bundle, memory.mounts_written = bundle, time.monotonic()
        if missed:
            secret = children.token_secret(seen.job, seen.token)
            await doing.run([Create(secret, "pods wait for it, perhaps", TOKEN, again=True)])
    memory.accept(CA)


async def _write_ca(kube: Kube, job: Job, bundle: str, doing: Execution) -> bool:
    try:
        await kube.apply(CONFIG_MAPS, children.ca_config_map(job, bundle))
    except KubeError as error:
        doing.failed(CA, "CARefused", "the CA's ConfigMap", error)
        return False
    return True
