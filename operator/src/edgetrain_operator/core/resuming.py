"""What a job that stops for a while goes on from."""

from edgetrain_operator.core.grouping import in_rounds
from edgetrain_protocol.job import JobSpec


def told_if_from_the_beginning(spec: JobSpec) -> str:
    """To be added to why it stops; empty where it goes on from what is saved."""
    if in_rounds(spec):
        return "; the log of rounds goes with the pods, so a new job has to be made then"
    if spec.storage.checkpoint is not None:
        return ""
    return "; spec.storage.checkpoint is not set, so training begins anew then"
