"""What pods mount, the CA's ConfigMap and each one's own identity: there while one may start."""

import time
from collections.abc import Sequence

from edgetrain_operator.core import children, lifecycle
from edgetrain_operator.core.model import CA, IDENTITY, Job, Observed, PodView
from edgetrain_operator.core.naming import identity_secret_name
from edgetrain_operator.kube.client import Kube
from edgetrain_operator.kube.errors import KubeError
from edgetrain_operator.kube.resources import CONFIG_MAPS
from edgetrain_operator.runtime.execute import Execution
from edgetrain_operator.runtime.memory import JobMemory

LOOK_SECONDS = 30.0
"""So often they are written while a pod does not start: somebody may have deleted what it waits for."""


async def ensure_mounts(kube: Kube, seen: Observed, bundle: str, memory: JobMemory, doing: Execution) -> None:
    """Write what is new or may be missing; what is refused is in the memory."""
    waiting = [pod for pod in seen.pods if pod.living and pod.phase == "Pending"]
    missed = bool(waiting) and time.monotonic() - memory.mounts_written >= LOOK_SECONDS
    if (memory.ca_bundle != bundle or missed) and not lifecycle.is_over(seen.job.status):
        if not await _write_ca(kube, seen.job, bundle, doing):
            return
        memory.ca_bundle, memory.mounts_written = bundle, time.monotonic()
    memory.accept(CA)
    if seen.barred_until(IDENTITY) is None:
        lacking = _without_identity(seen, waiting, memory, missed)
        await doing.run(doing.identity(pod, again=True) for pod in lacking)
        if not lacking:
            memory.accept(IDENTITY)


def _without_identity(
    seen: Observed, waiting: Sequence[PodView], memory: JobMemory, missed: bool
) -> list[PodView]:
    """Those whose Secret was not made yet, as when an operator died before it; where it may have been
    deleted, those too that a node could start."""
    able = {name for name, node in seen.nodes.items() if node.ready} if missed else frozenset()
    return [p for p in waiting if p.node in able or identity_secret_name(p.name) not in memory.made]


async def _write_ca(kube: Kube, job: Job, bundle: str, doing: Execution) -> bool:
    try:
        await kube.apply(CONFIG_MAPS, children.ca_config_map(job, bundle))
    except KubeError as error:
        doing.failed(CA, "CARefused", "the CA's ConfigMap", error)
        return False
    return True
