"""status of an EdgeTrainingJob, written by the operator alone.

Fields called `summary` and `reason` are worked out from the others on writing: they are what
`kubectl get` shows, and no program should read them.
"""

import math
from enum import StrEnum
from typing import Annotated, Literal

from pydantic import AfterValidator, Field, computed_field

from edgetrain_protocol.base import MOST_COUNTED, MOST_LOGGED, LongText, Name, ShortText, Tolerant, within
from edgetrain_protocol.plan import HIGHEST_GENERATION, HIGHEST_REVISION
from edgetrain_protocol.rules import ATOMIC, ATOMIC_MAP, keyed

DIGITS = 4


def readable(value: float) -> float:
    """Four significant digits: for people, and so that noise below them is no change of status."""
    return float(f"{value:.{DIGITS}g}") if math.isfinite(value) else 0.0


def readable_if_finite(value: float | None) -> float | None:
    """None for a loss that has diverged: JSON has no NaN, and an API server refuses a status with one."""
    return readable(value) if value is not None and math.isfinite(value) else None


Whole = Annotated[int, within(0, MOST_COUNTED)]
Figure = Annotated[float, AfterValidator(readable)]
OptionalFigure = Annotated[float | None, AfterValidator(readable_if_finite)]


class ConditionType(StrEnum):
    SUSPENDED = "Suspended"
    SCHEDULED = "Scheduled"
    """Enough nodes match and their pods could be made."""
    TRAINING = "Training"
    DEGRADED = "Degraded"
    STALLED = "Stalled"
    """Workers are heard that should train, and nobody does, for longer than any rule of theirs waits."""
    COMPLETE = "Complete"
    FAILED = "Failed"


class Condition(Tolerant):
    """One aspect of the job, as of Kubernetes' API conventions."""

    type: ShortText
    """Suspended, Scheduled, Training, Degraded, Stalled, Complete or Failed."""
    status: Literal["True", "False", "Unknown"]
    """Whether it holds."""
    reason: ShortText
    """Why, in one CamelCase word."""
    message: LongText = ""
    """Why, for people."""
    last_transition_time: ShortText
    """When status changed last."""
    observed_generation: Whole = 0
    """The generation of spec that this is about."""


class WorkerCounts(Tolerant):
    """Numbers of workers."""

    desired: Whole = 0
    """Nodes that shall have one."""
    ready: Whole = 0
    """Pods that are Ready."""
    training: Whole = 0
    """Workers that train."""
    paused: Whole = 0
    """Workers that keep their state and wait: dark, or without a majority."""

    @computed_field(description="ready/desired, for people.")  # type: ignore[prop-decorator]
    @property
    def summary(self) -> ShortText:
        return f"{self.ready}/{self.desired}"


class QueueStatus(Tolerant):
    """What the job has of its queue."""

    granted: Whole = 0
    """Nodes that it may have."""
    usable: Whole = 0
    """Nodes that could have a worker of it, whoever has them."""
    gain: OptionalFigure = None
    """What its last worker adds to samplesPerSecond, as a part of what its workers do on average: near 0, the
    job is hardly faster for it. Unset while it trains on fewer than two nodes."""


class RuntimeStatus(Tolerant):
    """The EdgeTrainingRuntime of the job."""

    name: Name
    """Its name."""
    generation: Whole | None = None
    """The one that the job has: the newest, until its first pod is made, and that one from then on. Unset
    where there is none."""
    newest_generation: Whole | None = None
    """As the runtime is now; unset where it is gone."""
    message: LongText = ""
    """What is to be done about a difference."""


class PlanRef(Tolerant):
    """The newest plan."""

    lineage: Annotated[int, within(0, HIGHEST_GENERATION)] = 0
    """Which history of the global model."""
    revision: Annotated[int, within(0, HIGHEST_REVISION)] = 0
    """Which revision of the plan."""


class JobProgress(Tolerant):
    """How far training is, as last reported; written at most every 10 s."""

    step: Whole = 0
    """Steps committed."""
    epoch: Whole = 0
    """Epochs begun, from 0."""
    percent: Figure = 0.0
    """Of the steps that the program means to take; 0 where it keeps a loop of its own and alone knows."""
    loss: OptionalFigure = None
    """Mean of the last step."""
    metrics: dict[ShortText, Figure] = Field(
        default_factory=dict, max_length=MOST_LOGGED, json_schema_extra=ATOMIC_MAP
    )
    """What else its main member logged by `session.log`, by name."""
    samples_per_second: Figure = 0.0
    """Over all workers."""
    eta_seconds: Whole | None = None
    """Until the end, at this speed."""
    durable_step: Whole | None = None
    """Newest step in a checkpoint held by two nodes or the remote store."""
    version: Whole = 0
    """Of the one model that groups train in rounds: the newest; 0 where they share none."""
    merged_samples: Whole = 0
    """Samples of all epochs that it contains."""

    @computed_field(description="percent and step, for people.")  # type: ignore[prop-decorator]
    @property
    def summary(self) -> ShortText:
        unknown = self.step > 0 and self.percent == 0
        return f"step {self.step}" if unknown else f"{self.percent:.0f}% step {self.step}"


class GroupStatus(Tolerant):
    """One group of workers, which average their gradients every step."""

    name: Name
    """`all`, where the job is one group."""
    generation: Annotated[int, within(1, HIGHEST_GENERATION)] = 1
    """Which history of the group: rises where it has lost its majority for good and began anew."""
    members: Whole = 0
    """Workers that the plan has in it."""
    aggregator: ShortText = ""
    """The elected aggregator's node."""
    progress: JobProgress = Field(default_factory=JobProgress)
    """How far it is."""


class RoundsStatus(Tolerant):
    """The log of rounds, by which groups train one model."""

    lead: ShortText = ""
    """Node of the holder that leads; empty while none is heard that does."""
    holders: list[Name] = Field(default_factory=list, max_length=16, json_schema_extra=ATOMIC)
    """Nodes that hold the log, as was heard last; before it has begun, those that are to."""
    version: Whole = 0
    """The newest version of the model."""
    groups: Whole = 0
    """Groups that take part."""


class ElectionStatus(Tolerant):
    """Who was elected, when, on which numbers."""

    worker: Name
    """The aggregator."""
    node: Name
    """Its node."""
    since: ShortText
    """When it took office."""
    reason: LongText
    """Why it and no other."""
    bandwidth_bits_per_second: Figure = 0.0
    """What was measured for it."""
    runner_up: Name | None = None
    """The next best worker."""
    runner_up_bits_per_second: OptionalFigure = None
    """What was measured for that one."""


class NodeState(StrEnum):
    PENDING = "Pending"
    STARTING = "Starting"
    JOINING = "Joining"
    TRAINING = "Training"
    PAUSED = "Paused"
    HUNG = "Hung"
    LOST = "Lost"
    FAILED = "Failed"
    FINISHED = "Finished"
    STOPPED = "Stopped"
    """Ended with the job, which is suspended or over, before it had finished."""
    UNSUPPORTED = "Unsupported"


class NodeStatus(Tolerant):
    """One node of the job."""

    node: Name
    """The node's name."""
    worker: Name
    """Its worker's name in plans and reports."""
    state: NodeState
    """What its worker does."""
    site: ShortText = ""
    """The site that it belongs to."""
    steps_per_second: Figure = 0.0
    """Its rate of steps."""
    samples_per_second: Figure = 0.0
    """Its rate of samples."""
    local_samples: Whole | None = None
    """Samples of data that stay there; unset where all workers have the same data."""
    bandwidth_bits_per_second: OptionalFigure = None
    """The best of its measured links."""
    aggregator: bool = False
    """Whether it is the aggregator."""
    message: LongText = ""
    """What is wrong, if anything is."""


WORST_FIRST = (
    (ConditionType.FAILED, "True"),
    (ConditionType.COMPLETE, "True"),
    (ConditionType.SUSPENDED, "True"),
    (ConditionType.SCHEDULED, "False"),
    (ConditionType.TRAINING, "False"),
    (ConditionType.DEGRADED, "True"),
    (ConditionType.TRAINING, "True"),
)
"""Which condition explains the job's state, the first that holds."""


class JobStatus(Tolerant):
    """What the operator knows of the job."""

    observed_generation: Whole = 0
    """The generation of spec that this is about."""
    phase: ShortText = "Pending"
    """One word for people; no program should read it."""
    conditions: list[Condition] = Field(default_factory=list, max_length=16, json_schema_extra=keyed("type"))
    """What holds; for programs."""
    workers: WorkerCounts = Field(default_factory=WorkerCounts)
    """Numbers of workers."""
    queue: QueueStatus | None = None
    """What it has of scheduling.queue; unset where it is in none."""
    runtime: RuntimeStatus | None = None
    """The runtime that it names; unset where it names none."""
    selector: LongText = ""
    """Label selector of the worker pods; for the scale subresource."""
    aggregator: ShortText = ""
    """The elected aggregator's node."""
    plan: PlanRef = Field(default_factory=PlanRef)
    """The newest plan."""
    progress: JobProgress = Field(default_factory=JobProgress)
    """How far training is; of several groups, that of the one furthest from its end."""
    groups: list[GroupStatus] = Field(default_factory=list, max_length=100, json_schema_extra=ATOMIC)
    """The groups, by name; of more than a hundred, the first."""
    rounds: RoundsStatus | None = None
    """Who holds the log of rounds; unset where the groups share none."""
    election: ElectionStatus | None = None
    """The last election."""
    start_time: ShortText | None = None
    """When the operator first saw the job, when its queue first gave it nodes, or when it went on after a
    suspension."""
    trained_seconds: Whole = 0
    """For which the condition Training has held, up to when it last ceased to. While it holds, the time since
    its lastTransitionTime comes on top."""
    completion_time: ShortText | None = None
    """When the job ended, be it complete or failed."""
    failures: Whole = 0
    """Failures of the program that count against runPolicy.backoffLimit."""
    model: LongText | None = None
    """Where the trained model is: node and path, or its address in the remote store."""
    nodes: list[NodeStatus] = Field(default_factory=list, max_length=100, json_schema_extra=ATOMIC)
    """Worst first; the rest from the fleet API."""

    @computed_field(description="The reason of the condition that explains phase, for people.")  # type: ignore[prop-decorator]
    @property
    def reason(self) -> ShortText:
        holds = {(c.type, c.status): c.reason for c in self.conditions}
        return next((holds[key] for key in WORST_FIRST if key in holds), "")
