"""The training part of a report, from what the supervisor knows. Pure."""

from collections.abc import Collection, Iterable, Mapping
from dataclasses import asdict, replace
from typing import NamedTuple

from edgetrain.group.members import Member
from edgetrain.group.said import Established
from edgetrain.group.status import PlanView, Stage, Status
from edgetrain.link import Exchanged, Progress
from edgetrain.supervisor.facts import Facts
from edgetrain.supervisor.outlook import NOTHING_KNOWN, Outlook
from edgetrain_protocol.base import MOST_LOGGED
from edgetrain_protocol.history import NO_HISTORY
from edgetrain_protocol.report import (
    DISK_SILENT,
    PROGRAM_DIFFERS,
    Checkpoint,
    Formation,
    Totals,
    Traffic,
    TrainerState,
    TrainingPart,
)
from edgetrain_protocol.rounds_report import RoundsPart

PAUSED_SECONDS = 3.0
"""A group that has broken is usually whole again much sooner; then it never was paused."""
HUNG_SECONDS = 10.0
"""Out of its group, and its program does not come back to the session for so long: it hangs."""

SLOW_START_SECONDS = 60.0
"""A program that takes longer than that from its start to its first batch is told of, by the minute."""
TEXT_MAX = 4000

_STATES = {
    Stage.STARTING: TrainerState.STARTING,
    Stage.FRESH: TrainerState.WAITING,
    Stage.STARTED: TrainerState.WAITING,
    Stage.FETCHING: TrainerState.JOINING,
    Stage.CAUGHT_UP: TrainerState.JOINING,
    Stage.FORMING: TrainerState.TRAINING,
    Stage.TRAINING: TrainerState.TRAINING,
}
_NEWS = (
    "state",
    "formation",
    "lost",
    "joinable",
    "checkpoint",
    "model",
    "error_reason",
    "exit_code",
    "warning_reason",
    "revision_held",
    "history",
    "counted",
    "holds",
    "checkpoints",
    "store_read",
    "waits_for",
    "log_disk",
    "holder",
)


class Clash(NamedTuple):
    """Why a worker cannot train with the others."""

    reason: str
    error: str


def state_of(status: Status, facts: Facts, now: float, away_seconds: float = 0.0) -> TrainerState:
    """One word for where the trainer is. `away_seconds`: as in Outlook."""
    if facts.error_reason and not facts.finished and status.stage is Stage.STARTING:
        return TrainerState.FAILED
    if facts.finished:
        return TrainerState.FINISHED
    if status.hung or away_seconds > HUNG_SECONDS:
        return TrainerState.HUNG
    if status.stage in _STATES:
        return _STATES[status.stage]
    broken = facts.broken_since is not None and now - facts.broken_since > PAUSED_SECONDS
    return TrainerState.PAUSED if broken else TrainerState.TRAINING


def missing(plan: PlanView | None, formation: Collection[Member], heard: Collection[str]) -> tuple[str, ...]:
    """Members of the plan that are neither in the formation nor heard."""
    if plan is None or not formation:
        return ()
    here = {member.worker for member in formation}
    return tuple(p.worker for p in plan.pods if p.worker not in here and p.worker not in heard)


def training_part(
    status: Status,
    facts: Facts,
    plan: PlanView | None,
    word: Established | None,
    statuses: Mapping[str, Status],
    now: float,
    outlook: Outlook = NOTHING_KNOWN,
) -> TrainingPart:
    """The part as it is now; `word` is the formation that the trainer is in, `statuses` those of all who are
    heard, by worker, `now` a monotonic time."""
    heard = sorted(statuses)
    reason, error = _trouble(facts, clash(status, statuses.values()), starved(status))
    progress = _progress(facts, plan)
    members = word.formation.members if word else ()
    state = state_of(status, facts, now, outlook.away_seconds)
    newcomers = state is TrainerState.TRAINING and plan is not None
    here = {m.worker for m in members}
    return TrainingPart(
        state=state,
        incarnation=facts.incarnation,
        program=facts.program,
        **(plan.history if plan else NO_HISTORY)._asdict(),
        revision_held=plan.revision if plan else 0,
        formation=_formation(word),
        base=status.base if plan and status.history == plan.history else 0,
        lost=missing(plan, members, heard),
        joinable=tuple(w for w in heard if w not in here) if newcomers else (),
        step=max(progress.step, status.committed),
        epoch=progress.epoch,
        percent=progress.percent,
        loss=progress.loss,
        loss_not_finite_since=progress.not_finite_since,
        metrics=_logged(progress),
        local_samples=progress.local_samples,
        local_labels=progress.local_labels,
        samples=progress.samples,
        samples_per_second=progress.samples_per_second,
        share=min(1.0, max(0.0, progress.share)),
        steps_per_second=progress.steps_per_second,
        step_seconds=progress.step_seconds,
        phase_seconds=dict(list(progress.phase_seconds.items())[:16]),
        reduce_bytes=progress.reduce_bytes,
        payload=progress.payload if progress.step else None,
        codec_seconds=progress.codec_seconds,
        recoveries=facts.recoveries,
        recovery_seconds=facts.recovery_seconds,
        totals=_totals(progress, facts),
        samples_lost=progress.samples_returned,
        checkpoint=facts.checkpoint,
        checkpoints=_checkpoints(facts, plan),
        store_read=facts.store_read,
        holds=_holds(status, plan),
        counted=outlook.quorums(),
        waits=(facts.fetching or outlook.waits or _slow_start(status, facts, now))[:4000],
        waits_for=outlook.waits_for,
        still_seconds=max(0.0, now - outlook.moved_at) if outlook.moved_at is not None else 0.0,
        rounds=_rounds(facts.exchanged),
        log_disk=facts.log_disk,
        holder=facts.holder,
        model=facts.model,
        model_pushed=facts.not_pushed == "",
        model_not_pushed=(facts.not_pushed or "")[:TEXT_MAX],
        error=error,
        error_reason=reason,
        exit_code=facts.exit_code,
        warning=next((text[:TEXT_MAX] for text in facts.warnings.values()), None),
        warning_reason=next(iter(facts.warnings), None),
    )


def _rounds(said: Exchanged | None) -> RoundsPart | None:
    return RoundsPart(**asdict(replace(said, trouble=said.trouble[:TEXT_MAX]))) if said else None


def _progress(facts: Facts, plan: PlanView | None) -> Progress:
    """What its program last said, unless that was of another history."""
    said = facts.progress
    if said is None or said.formation is None or plan is None or said.formation.history == plan.history:
        return said or Progress(None, "", 0)
    return replace(said, step=0)


def _logged(progress: Progress) -> dict[str, float]:
    """What can be told of it: numbers that are finite, and no more than there is room for."""
    known = {name: value for name, value in progress.metrics.items() if value is not None}
    sound = [(name[:256], value) for name, value in known.items() if abs(value) <= 1e18]
    return dict(sound[:MOST_LOGGED])


def _holds(status: Status, plan: PlanView | None) -> bool:
    return plan is not None and status.history == plan.history and status.whole


def _checkpoints(facts: Facts, plan: PlanView | None) -> tuple[Checkpoint, ...]:
    """Of its present group."""
    return tuple(c for c in facts.checkpoints.values() if plan is None or c.group == plan.history.group)


def _trouble(facts: Facts, clash: Clash | None, starving: str | None) -> tuple[str | None, str | None]:
    """Its reason and its text, the worst first."""
    if facts.error_reason:
        return facts.error_reason, facts.error
    if clash:
        return clash
    if starving:
        return "NoData", starving
    if facts.volumes_gone:
        return "VolumesGone", "the node took the pod's own volumes away under it; it trains on from memory"
    if facts.disk_silent:
        return DISK_SILENT, "its disk does not answer: it trains on, and gives no vote until it does"
    return None, facts.error


def clash(status: Status, others: Iterable[Status]) -> Clash | None:
    """Why a worker outside of the group is never asked in: it would train something else."""
    if not status.layout or status.formation:
        return None
    differing = sorted((s for s in others if s.layout and not s.alike(status)), key=lambda s: s.pod.worker)
    if not differing:
        return None
    who = ", ".join(s.pod.worker for s in differing[:5])
    theirs = differing[0].program
    if status.program and theirs and status.program != theirs:
        what = f"the files of its program ({status.program}) differ from those of {who} ({theirs})"
        return Clash(PROGRAM_DIFFERS, what)
    return Clash(
        "ModelMismatch", f"its model, its optimiser or its version of edgetrain differs from that of {who}"
    )


def starved(status: Status) -> str | None:
    """Why a newcomer does not come in: its donor's state does not reach it."""
    if status.stage is not Stage.FETCHING or not status.stuck:
        return None
    return f"it hears {', '.join(status.stuck)}, but no data come from there"


def is_news(part: TrainingPart, told: TrainingPart | None) -> bool:
    """Whether the operator acts on what has changed since it was told; the rest can wait."""
    return told is None or any(getattr(part, name) != getattr(told, name) for name in _NEWS)


def _slow_start(status: Status, facts: Facts, now: float) -> str:
    """What is known of a program that has not come to its first batch for long."""
    seconds = now - facts.started_at if facts.started_at is not None else 0.0
    if status.stage is not Stage.STARTING or seconds < SLOW_START_SECONDS:
        return ""
    return (
        f"its program was started {int(seconds // 60)} min ago and has not come to its first batch: "
        "it imports, reads its data, or hangs"
    )


def _formation(word: Established | None) -> Formation | None:
    if word is None:
        return None
    formation = word.formation
    return Formation(
        **word.history._asdict(),
        revision=formation.revision,
        number=formation.number,
        aggregator=formation.aggregator,
        members=tuple(member.worker for member in formation.members),
    )


def _totals(progress: Progress, facts: Facts) -> Totals:
    done = progress.totals
    return Totals(
        steps=done.steps,
        samples=done.samples,
        phase_seconds=dict(list(done.phase_seconds.items())[:16]),
        recovery_seconds=facts.recovery_seconds_total,
        traffic=tuple(
            Traffic(scope=scope, sent_bytes=sent, received_bytes=received)
            for scope, (sent, received) in sorted(done.carried.items())
        ),
    )
