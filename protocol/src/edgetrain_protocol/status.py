"""status of an EdgeTrainingJob, written by the operator alone."""

from enum import StrEnum
from typing import Literal

from pydantic import Field

from edgetrain_protocol.base import LongText, Name, ShortText, Tolerant


class ConditionType(StrEnum):
    SUSPENDED = "Suspended"
    SCHEDULED = "Scheduled"
    """Enough nodes match and their pods could be made."""
    TRAINING = "Training"
    DEGRADED = "Degraded"
    COMPLETE = "Complete"
    FAILED = "Failed"


class Condition(Tolerant):
    type: ShortText
    status: Literal["True", "False", "Unknown"]
    reason: ShortText
    message: LongText = ""
    last_transition_time: ShortText
    observed_generation: int = 0


class WorkerCounts(Tolerant):
    desired: int = 0
    ready: int = 0
    training: int = 0
    paused: int = 0


class PlanRef(Tolerant):
    lineage: int = 0
    revision: int = 0


class JobProgress(Tolerant):
    step: int = 0
    epoch: int = 0
    percent: float = 0.0
    loss: float | None = None
    samples_per_second: float = 0.0
    eta_seconds: int | None = None
    durable_step: int | None = Field(None, description="Newest step in a checkpoint held by two nodes or the remote store.")


class ElectionStatus(Tolerant):
    """Who was elected, when, on which numbers."""

    worker: Name
    node: Name
    since: ShortText
    reason: LongText
    bandwidth_bits_per_second: float = 0.0
    runner_up: Name | None = None
    runner_up_bits_per_second: float | None = None


class NodeState(StrEnum):
    PENDING = "Pending"
    STARTING = "Starting"
    JOINING = "Joining"
    TRAINING = "Training"
    PAUSED = "Paused"
    LOST = "Lost"
    FAILED = "Failed"
    FINISHED = "Finished"
    UNSUPPORTED = "Unsupported"


class NodeStatus(Tolerant):
    node: Name
    worker: Name
    state: NodeState
    site: ShortText = ""
    steps_per_second: float = 0.0
    samples_per_second: float = 0.0
    bandwidth_bits_per_second: float | None = None
    aggregator: bool = False
    message: LongText = ""


class JobStatus(Tolerant):
    observed_generation: int = 0
    phase: ShortText = Field("Pending", description="One word for people; no program should read it.")
    conditions: list[Condition] = Field(default_factory=list, max_length=16)
    workers: WorkerCounts = Field(default_factory=WorkerCounts)
    selector: LongText = ""
    aggregator: ShortText = ""
    plan: PlanRef = Field(default_factory=PlanRef)
    progress: JobProgress = Field(default_factory=JobProgress)
    election: ElectionStatus | None = None
    start_time: ShortText | None = None
    completion_time: ShortText | None = None
    failures: int = 0
    model: LongText | None = Field(None, description="Where the trained model is: node and path.")
    nodes: list[NodeStatus] = Field(default_factory=list, max_length=100, description="Worst first; the rest from the fleet API.")
