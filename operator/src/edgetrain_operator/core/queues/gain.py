"""What a job's last worker is worth to it, by what its workers report of their steps.

Of a batch of a fixed size each of n workers does a part: with one fewer, what a worker does by itself in
a step takes n / (n - 1) times as long, and what it does with the others as long as now. Where p is the part
of a step that the slowest works by itself, the last worker adds n p / (n - 1 + p) of a worker's average.
"""

from edgetrain_operator.core.model import Observed
from edgetrain_protocol.job import DataPolicy
from edgetrain_protocol.names import OWN_PHASES
from edgetrain_protocol.report import TrainerState, TrainingPart

NOISE = 0.15
"""A change that is smaller is none: reports tell of single steps."""


def gain(seen: Observed, before: float | None) -> float | None:
    """Of the job as it trains now.

    Args:
        before: what it was found to be before, which holds until it is clearly another.

    Returns:
        1 where the last worker does as much as the others, 0 where the job is no faster for it; None where it
        trains in no group of two or more that is heard.
    """
    groups = [of for of in seen.stored.plan.groups if of.members] if seen.stored.plan else []
    members = len(groups[0].members) if len(groups) == 1 else 0
    parts = (
        [part for m in groups[0].members if (part := _training(seen, m.worker, m.pod_uid))] if members else []
    )
    if members < 2 or not parts:
        return None
    if seen.job.spec.data.policy is DataPolicy.LOCAL:
        return 1.0  # Each brings data of its own, and trains on them beside the others.
    found = _worth(members, max(map(_own_part, parts)))
    return before if before is not None and abs(found - before) < NOISE else round(found, 2)


def _worth(members: int, own: float) -> float:
    return members * own / (members - 1 + own)


def _own_part(part: TrainingPart) -> float:
    own = sum(part.phase_seconds.get(phase, 0.0) for phase in OWN_PHASES)
    return min(own / part.step_seconds, 1.0)


def _training(seen: Observed, worker: str, pod_uid: str) -> TrainingPart | None:
    stamped = seen.reports.get(worker)
    part = stamped.training if stamped and stamped.head.pod_uid == pod_uid else None
    timed = part is not None and part.step_seconds > 0 and part.phase_seconds
    return part if timed and part is not None and part.state is TrainerState.TRAINING else None
