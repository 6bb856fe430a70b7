"""Why a job gets no new worker, whatever nodes there are; those that it has stay."""

from edgetrain_operator.core.allowed import not_allowed
from edgetrain_operator.core.grouping import gated
from edgetrain_operator.core.model import Observed


def why_barred(seen: Observed) -> str:
    """What it asks for and may not have, in words; empty where there is nothing."""
    spec, defaults = seen.job.spec, seen.defaults
    return not_allowed(spec, defaults.allowed) or gated(spec, defaults.feature_gates.grouping)
