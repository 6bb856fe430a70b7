"""What is stored of a job's runtime: the version by which its pods are made, from the first one on."""

from collections.abc import Iterable

from edgetrain_operator.core.actions import Action, Create
from edgetrain_operator.core.lifecycle import End, Verdict
from edgetrain_operator.core.model import Observed
from edgetrain_operator.core.stored import StoredPlan


def with_pin(
    stored: StoredPlan, seen: Observed, actions: Iterable[Action], found: Verdict | None
) -> StoredPlan:
    """The same with what is to be remembered: written before the pods are made, as all that they rest on.

    Args:
        found: why no worker shall train, if none shall.
    """
    use, before = seen.job.runtime, stored.runtime
    made = any(isinstance(action, Create) and action.kind == "Pod" for action in actions)
    lost = before is None and bool(seen.pods)
    after = use.version if use and (made or lost) else before
    if found is not None and found.end is End.SUSPENDED and not seen.pods:
        after = None  # When it goes on, it takes the newest.
    return stored if after == before else stored.model_copy(update={"runtime": after})
