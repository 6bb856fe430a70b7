"""How long a worker has to end: from being told to until its pod is killed."""

from edgetrain_protocol.job import JobSpec

USUAL_SECONDS = 30
"""For the supervisor to say goodbye."""
WITH_CHECKPOINT_SECONDS = 120
"""To write a large model to a slow card as well: a pod that is done sooner ends sooner."""


def grace_seconds(spec: JobSpec) -> int:
    """terminationGracePeriodSeconds of the job's pods."""
    usual = USUAL_SECONDS if spec.storage.checkpoint is None else WITH_CHECKPOINT_SECONDS
    return spec.template.spec.termination_grace_period_seconds or usual
