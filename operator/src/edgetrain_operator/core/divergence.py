"""A loss that is not finite any more: since when, and what is left from before."""

from edgetrain_operator.core.scene import Scene

STEPS = 3
"""In a row before it is told: a single step may be one that a program, or a scaler, passes over."""
REASON = "LossNotFinite"


def diverged(scene: Scene) -> str | None:
    """What has become of the loss, in words for people; None while it is finite.

    By the member that is furthest: the mean loss is the same on all.
    """
    parts = [p for w in scene.seen.reports if (p := scene.hearing.training(w)) and p.lineage == scene.lineage]
    furthest = max(parts, key=lambda part: part.step, default=None)
    since = furthest.loss_not_finite_since if furthest else None
    if furthest is None or since is None or furthest.step - since + 1 < STEPS:
        return None
    durable = scene.stored.durable_step
    kept = (
        "no checkpoint is durable" if durable is None else f"the last durable checkpoint is of step {durable}"
    )
    return f"the loss has not been finite since step {since}; {kept}"
