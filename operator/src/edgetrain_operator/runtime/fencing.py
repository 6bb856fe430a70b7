"""The job's NetworkPolicy: made before its pods, and again where somebody may have deleted it."""

import time

from edgetrain_operator.core import children, lifecycle
from edgetrain_operator.core.model import FENCE, Create, Observed
from edgetrain_operator.runtime.execute import Execution
from edgetrain_operator.runtime.memory import JobMemory

LOOK_SECONDS = 300.0


async def ensure_fence(seen: Observed, memory: JobMemory, doing: Execution) -> None:
    """Make it; what is refused is in the memory, and holds up nothing."""
    policy = children.network_policy(seen.job, seen.defaults.fence)
    fresh = time.monotonic() - memory.fence_made < LOOK_SECONDS
    if policy is None or fresh or lifecycle.is_over(seen.job.status) or seen.barred_until(FENCE):
        return
    await doing.run([Create(policy, "who may dial the workers", FENCE)])
    if FENCE not in memory.refusals:
        memory.fence_made = time.monotonic()
