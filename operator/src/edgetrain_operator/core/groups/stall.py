"""The last resort: workers are heard, they should train, and nobody does.

Every wait of a group ends by its own rules. Where one does not, by a fault of ours or of the network's that
no rule foresees, it is named here with all that its members say they wait for, and the least drastic thing
that may help is done: first another formation, then another generation, each less often than the one before.
"""

from collections.abc import Mapping
from dataclasses import dataclass
from statistics import median_high

from edgetrain_operator.core.context import GroupContext
from edgetrain_operator.core.stored import Stall
from edgetrain_protocol.backoff import doubled
from edgetrain_protocol.plan import Phase
from edgetrain_protocol.report import TrainerState, TrainingPart

STALL_SECONDS = 60.0
"""From the last step, or from the last worker's getting ready, to the condition `Stalled`."""
STEPS = 10
"""A group whose steps take long is given so many of them."""
COLD_SECONDS = 600.0
"""As long as it has committed no step: nobody knows how long one takes."""
LONGEST_SECONDS = 3600.0
"""Between what is done about it: twice as long each time, up to this."""

LATE_SECONDS, LATE_STEPS = 10.0, 5
"""Members of a formation are said to wait where no step has come for longer than both."""


@dataclass(frozen=True)
class Resort:
    """What to do about it now."""

    stall: Stall | None
    nudge: bool = False
    renew: str = ""
    """Why another generation is to be started."""


def stalled(scene: GroupContext) -> str:
    """Who waits for whom, by which rule; empty where steps go on, or need not."""
    parts = {w: p for w, p in scene.reports.could_train.items() if p.history == scene.history}
    plan, able = scene.job.plan, len(scene.job.reports.could_train)
    if plan is None or plan.phase is not Phase.TRAIN or not parts or able < scene.seen.job.spec.nodes.min:
        return ""
    still = _still(scene, parts)
    if still < patience(list(parts.values())) or _has_ended(parts):
        return ""
    return f"nobody has trained for {_coarse(still)} s: {_chain(scene, parts)}"


def waiting(scene: GroupContext) -> str:
    """Who waits for whom in a formation that commits nothing just now; empty where steps come as usual."""
    parts = {w: p for w, p in scene.reports.parts.items() if p.state is TrainerState.TRAINING}
    still = _still(scene, parts) if parts and not _has_ended(parts) else 0.0
    usual = max((p.step_seconds for p in parts.values()), default=0.0)
    if still < max(LATE_SECONDS if usual else STALL_SECONDS, LATE_STEPS * usual):
        return ""
    return f"no step for {_coarse(still)} s: {_chain(scene, parts)}"


def _still(scene: GroupContext, parts: Mapping[str, TrainingPart]) -> float:
    """Seconds since these got on: since most of the formation did, where there is one; else since any."""
    still = {w: p.still_seconds + scene.reports.silence(w) for w, p in parts.items()}
    fellows = [still[worker] for worker in scene.reports.fellows if worker in still]
    return median_high(fellows) if fellows else min(still.values())


def _coarse(seconds: float) -> int:
    """In steps of ten: a text that changes with each look would be written each time."""
    return int(seconds // 10 * 10)


def _has_ended(parts: Mapping[str, TrainingPart]) -> bool:
    """Whether it need not train any more: it has trained on all data of its own, and others have not."""
    return any(part.rounds is not None and part.rounds.ended for part in parts.values())


def _waits_for_log(scene: GroupContext) -> bool:
    """Whether most of it are in their loop, in rounds: what is lacking are others' versions or data, and
    another generation would lose what of its work is not merged yet."""
    heard = [part for part in scene.reports.parts.values() if part.history == scene.history]
    parts = list(scene.reports.fellows.values()) or heard
    at_it = sum(part.rounds is not None and part.state is TrainerState.TRAINING for part in parts)
    return 2 * at_it > len(parts)


def _chain(scene: GroupContext, parts: Mapping[str, TrainingPart]) -> str:
    waits = {w: p.waits or (p.rounds.trouble if p.rounds else "") or p.state for w, p in parts.items()}
    said = [f"{w}: {why}" for w, why in sorted(waits.items())[:20]]
    return scene.with_node_names("; ".join(said))


def patience(parts: list[TrainingPart]) -> float:
    """Seconds without a step that are too many for these."""
    usual = max(p.step_seconds for p in parts)
    cold = not usual and any(p.state is TrainerState.TRAINING for p in parts)
    return max(STALL_SECONDS, STEPS * usual, COLD_SECONDS if cold else 0.0)


def resort(scene: GroupContext) -> Resort:
    """What is due now: nothing, a nudge, or another generation, in turn."""
    before, why = scene.stored.stall, stalled(scene)
    if not why or _waits_for_log(scene):
        return Resort(None)
    if before is None:
        return Resort(Stall(since=scene.now, steps=1, at=scene.now), nudge=True)
    if scene.now < before.at + doubled(STALL_SECONDS, before.steps - 1, LONGEST_SECONDS):
        return Resort(before)
    after = before.model_copy(update={"steps": before.steps + 1, "at": scene.now})
    return Resort(after, renew=why)
