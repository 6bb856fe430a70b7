"""Nodes that had a worker and are no edge nodes by now: the table of nodes does not hold them."""

import time
from collections.abc import Mapping

from edgetrain_operator.core import lifecycle
from edgetrain_operator.core.model import Job, NodeView
from edgetrain_operator.core.observe import node_view
from edgetrain_operator.core.stored import StoredPlan
from edgetrain_operator.kube.client import Kube
from edgetrain_operator.kube.resources import NODES
from edgetrain_operator.runtime.memory import JobMemory

READ_SECONDS = 60.0
"""Between reads of the same nodes: nothing is decided by them, it is a hint to people."""
READ_MAX = 50


async def strangers(
    kube: Kube, job: Job, stored: StoredPlan, nodes: Mapping[str, NodeView], memory: JobMemory
) -> Mapping[str, NodeView]:
    """Those that are still there, by name."""
    if lifecycle.is_over(job.status):
        return {}
    names = sorted({record.node for record in stored.workers.values()} - nodes.keys())[:READ_MAX]
    if names and time.monotonic() - memory.strangers_read >= READ_SECONDS:
        found = [await kube.find(NODES, name) for name in names]
        memory.strangers = {raw["metadata"]["name"]: node_view(raw) for raw in found if raw}
        memory.strangers_read = time.monotonic()
    return {name: memory.strangers[name] for name in names if name in memory.strangers}
