"""What outlives pods: from what a job that has stopped goes on, and a worker whose pod is lost."""

from edgetrain_operator.core.context import DecisionContext
from edgetrain_operator.core.grouping import in_rounds
from edgetrain_protocol.job import JobSpec


def outlives_pods(spec: JobSpec) -> bool:
    """Whether what workers keep, checkpoints and the log of rounds, is not on their pods' own disks."""
    checkpoint = spec.storage.checkpoint
    return checkpoint is not None and (checkpoint.volume is not None or checkpoint.claim is not None)


def may_come_back(scene: DecisionContext, worker: str, pod_uid: str) -> bool:
    """With what this pod of the worker kept: on a volume as long as there is the node, on the pod's own disk
    with the pod."""
    record = scene.records.get(worker)
    if record is None or scene.given_up(worker) or record.node in scene.seen.job.spec.nodes.exclude:
        return False
    if outlives_pods(scene.seen.job.spec):
        return record.node in scene.seen.nodes and not record.left_out
    return not scene.over(worker, pod_uid)


def told_if_from_the_beginning(spec: JobSpec) -> str:
    """To be added to why it stops; empty where it goes on from what is saved."""
    if in_rounds(spec) and not outlives_pods(spec):
        return (
            "; the log of rounds goes with the pods, since spec.storage.checkpoint has neither volume nor "
            "claim, so a new job has to be made then"
        )
    if spec.storage.checkpoint is not None:
        return ""
    return "; spec.storage.checkpoint is not set, so training begins anew then"
