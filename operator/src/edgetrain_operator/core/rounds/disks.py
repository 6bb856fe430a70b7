"""The disks that the log of rounds may be on: whose they are, and which are gone for good.

A holder is a disk in a lineage. Where checkpoints outlive pods, so does the log beside them: the next pod of
that worker is the same holder. Elsewhere it is another, and the disk was gone with its pod.
"""

from collections.abc import Mapping

from edgetrain_operator.core.context import DecisionContext
from edgetrain_operator.core.naming import holder_name
from edgetrain_operator.core.resuming import may_come_back
from edgetrain_operator.core.stored_rounds import Disk


def worker_of(holder: str) -> str:
    """Whose disk it is, by a holder's name."""
    return holder.rpartition("-")[0]


def disks(scene: DecisionContext) -> Mapping[str, Disk]:
    """Of each worker, by what it said last of its disk."""
    known = scene.stored.rounds.disks
    found = {worker: _said(scene, worker) or known.get(worker) for worker in scene.records}
    return {worker: disk for worker, disk in found.items() if disk}


def present_holder(scene: DecisionContext, worker: str) -> str:
    """The name of the holder that its present pod can be; empty where that has not said yet."""
    disk = _said(scene, worker)
    return _name(scene, worker, disk) if disk else ""


def reached(scene: DecisionContext, worker: str) -> bool | None:
    """Whether others reach it, None where nobody has tried. Holders are dialled: a worker behind NAT cannot
    be one."""
    return scene.seen.reachable.get(worker)


def hidden(scene: DecisionContext, worker: str) -> bool:
    """Whether others are known not to reach it."""
    return reached(scene, worker) is False


def disks_left(scene: DecisionContext) -> frozenset[str]:
    """Names of all holders that there are or could be: any other is of a disk that is gone for good."""
    return frozenset(
        _name(scene, worker, disk)
        for worker, disk in disks(scene).items()
        if may_come_back(scene, worker, disk.pod_uid)
    )


def _said(scene: DecisionContext, worker: str) -> Disk | None:
    stamped = scene.reports.report(worker)
    if stamped is None or stamped.training is None or not stamped.training.log_disk:
        return None
    return Disk(identity=stamped.training.log_disk, pod_uid=stamped.head.pod_uid)


def _name(scene: DecisionContext, worker: str, disk: Disk) -> str:
    return holder_name(worker, disk.identity, scene.lineage)
