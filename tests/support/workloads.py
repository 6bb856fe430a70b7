"""Kueue in a world in memory: what it would write into the job's Workload, written by hand."""

from dataclasses import replace
from typing import Any

from edgetrain_operator.core.observe import time_text
from tests.support.world import DEFAULTS, World

CLAIM = {"storage": {"checkpoint": {"claim": {"size": "1Gi"}}}}
WITH_KUEUE = replace(DEFAULTS, kueue=True)


def queued(*nodes: str, **spec: Any) -> World:
    """A job that has just been made, with its label."""
    world = World.of(*nodes, **CLAIM, **spec)
    world.defaults, world.queue = WITH_KUEUE, "team-a"
    world.settle()
    return world


def pod_set(world: World) -> dict[str, Any]:
    assert world.workload
    (found,) = world.workload["spec"]["podSets"]
    return dict(found)


def said(world: World, kind: str) -> dict[str, Any]:
    """The Workload's condition; empty where it has none of this type."""
    assert world.workload
    conditions = world.workload.get("status", {}).get("conditions", [])
    return next((c for c in conditions if c["type"] == kind), {})


def kueue_says(world: World, *conditions: tuple[str, bool, str, str], **status: Any) -> None:
    """What Kueue writes into the Workload."""
    assert world.workload
    before = world.workload.get("status", {})
    named = {kind for kind, *_ in conditions}
    kept = [c for c in before.get("conditions", []) if c["type"] not in named]
    now = {"lastTransitionTime": time_text(world.now), "observedGeneration": 1}
    new = [
        {"type": kind, "status": "True" if holds else "False", "reason": reason, "message": message, **now}
        for kind, holds, reason, message in conditions
    ]
    world.workload = world.workload | {"status": {**before, **status, "conditions": kept + new}}


def admit(world: World, count: int, flavor: str = "edge") -> None:
    mine = {"name": "workers", "count": count, "flavors": {"cpu": flavor, "memory": flavor}}
    kueue_says(
        world,
        ("QuotaReserved", True, "QuotaReserved", "Quota reserved in ClusterQueue fleet"),
        ("Admitted", True, "Admitted", "The workload is admitted"),
        ("Evicted", False, "QuotaReserved", "Previously: Preempted"),
        admission={"clusterQueue": "fleet", "podSetAssignments": [mine]},
    )


def evict(world: World, reason: str = "Preempted") -> None:
    kueue_says(world, ("Evicted", True, reason, "Preempted to accommodate a workload"))
