"""Why a job gets no new worker, whatever nodes there are; those that it has stay."""

from edgetrain_operator.core.allowed import not_allowed
from edgetrain_operator.core.grouping import gated
from edgetrain_operator.core.model import Observed, Trouble
from edgetrain_operator.core.runtimes.in_force import NOT_ALLOWED


def why_barred(seen: Observed) -> Trouble | None:
    """What it asks for and may not have, or what it rests on and is not there; None where there is nothing.

    What its runtime says, the platform team says: it may say more than a job may.
    """
    job, defaults = seen.job, seen.defaults
    if job.runtime and job.runtime.reason:
        return Trouble(job.runtime.reason, job.runtime.message)
    why = not_allowed(job.written, defaults.allowed) or gated(job.spec, defaults.feature_gates.grouping)
    return Trouble(NOT_ALLOWED, why) if why else None
