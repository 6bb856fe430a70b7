"""Jobs and workers as the operator relays them, with everything that can be said of them."""

from collections.abc import Iterable
from dataclasses import replace
from typing import Any

from edgetrain_operator.core.series import JobSeen
from edgetrain_operator.fleet_state import NodeRate, StampedReport
from edgetrain_protocol.report import (
    Checkpoint,
    Formation,
    NodePart,
    Totals,
    Traffic,
    TrainerState,
    TrainingPart,
)
from edgetrain_protocol.rounds_report import RoundsPart
from edgetrain_protocol.series import PHASES, SCOPES
from edgetrain_protocol.status import Condition, JobProgress, JobStatus, WorkerCounts
from tests.support.fleet import plan, report

NOW = 1_800_000_000.0


def training(**fields: Any) -> TrainingPart:
    """Everything that a worker could say."""
    full = {
        "state": TrainerState.TRAINING,
        "incarnation": "i1",
        "step": 70,
        "loss": 0.5,
        "phase_seconds": dict.fromkeys(PHASES, 0.1),
        "formation": Formation(lineage=1, revision=1, number=3, aggregator="w-a", members=("w-a", "w-b")),
        "checkpoint": Checkpoint(lineage=1, step=60, digest="00", path="/x", at=NOW - 9),
        "recoveries": 2,
        "rounds": RoundsPart(version=12, applied=11, merged=2400, total=5000, groups=2),
        "totals": Totals(
            steps=69,
            samples=4416,
            phase_seconds=dict.fromkeys(PHASES, 7.0),
            recovery_seconds=0.75,
            traffic=tuple(Traffic(scope=s, sent_bytes=5, received_bytes=6) for s in SCOPES),
        ),
    }
    return TrainingPart(**{**full, **fields})


MEASURED = NodePart(cpu_ratio=0.5, temperature_celsius=50.0, battery_ratio=0.9, bandwidth_alarm=True)


def held(worker: str, heard: float = NOW, **parts: Any) -> StampedReport:
    parts = parts or {"training": training(), "measured": MEASURED}
    times: dict[str, Any] = {f"{kind}_received": heard for kind in parts}
    return StampedReport(report(worker, **parts), **parts, **times)


def job(workers: Iterable[str] = ("w-a", "w-b"), **fields: Any) -> JobSeen:
    status = JobStatus(
        conditions=[Condition(type="Training", status="True", reason="Training", last_transition_time="")],
        workers=WorkerCounts(desired=2, ready=2, training=2),
        progress=JobProgress(step=70, percent=12.5, durable_step=60),
    )
    seen = JobSeen(
        namespace="farm",
        name="digits",
        min_workers=2,
        checkpoint_every_seconds=30,
        status=status,
        plan=plan(revision=4),
        reports={worker: held(worker) for worker in workers},
        rates={"w-a": NodeRate(80e6, NOW, "w-b")},
    )
    return replace(seen, **fields)
