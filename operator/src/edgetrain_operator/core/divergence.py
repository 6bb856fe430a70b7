"""A loss that is not finite any more: since when, and what is left from before."""

from statistics import median_low

from edgetrain_operator.core.context import DecisionContext, GroupContext

STEPS = 3
"""In a row before it is told: a single step may be one that a program, or a scaler, passes over."""
REASON = "LossNotFinite"


def diverged(job: DecisionContext) -> str | None:
    """What has become of the loss, in words for people; None while it is finite in all groups.

    By the word of most: the mean loss is the same on all members of a group.
    """
    return next((group.told_of(text) for group in job.groups if (text := _diverged(group))), None)


def _diverged(scene: GroupContext) -> str | None:
    known = [part for part in scene.reports.of_history(scene.history) if part.step]
    parts = list(scene.reports.fellows.values()) or known
    not_finite = [(p.loss_not_finite_since, p.step) for p in parts if p.loss_not_finite_since is not None]
    lost = [since for since, step in not_finite if step - since + 1 >= STEPS]
    if 2 * len(lost) <= len(parts):
        return None
    since = median_low(lost)
    durable = scene.stored.durable_step
    kept = (
        "no checkpoint is durable" if durable is None else f"the last durable checkpoint is of step {durable}"
    )
    return f"the loss has not been finite since step {since}; {kept}"
