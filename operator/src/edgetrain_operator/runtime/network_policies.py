"""The job's NetworkPolicy: made before its pods, and again where somebody may have deleted it."""

import time

from edgetrain_operator.core import children, lifecycle
from edgetrain_operator.core.actions import Create
from edgetrain_operator.core.model import NETWORK_POLICY, SERVER, Observed
from edgetrain_operator.runtime.execute import Execution
from edgetrain_operator.runtime.memory import JobMemory

LOOK_SECONDS = 300.0


async def ensure_network_policy(seen: Observed, memory: JobMemory, doing: Execution) -> None:
    """Make it; what is refused is in the memory, and holds up nothing."""
    policy = children.network_policy(seen.job, seen.defaults.network_policy)
    fresh = time.monotonic() - memory.policy_made < LOOK_SECONDS
    barred = seen.barred_until(SERVER, NETWORK_POLICY)
    if policy is None or fresh or barred or lifecycle.is_over(seen.job.status):
        return
    await doing.run([Create(policy, "who may dial the workers", NETWORK_POLICY)])
    if policy["metadata"]["name"] in memory.made:
        memory.policy_made = time.monotonic()
