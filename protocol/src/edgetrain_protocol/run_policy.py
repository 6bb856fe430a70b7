"""spec.runPolicy: when a job ends, what counts as a failure, and what is kept.

Shape and names of failure rules are those of a Job's podFailurePolicy, which people know.
"""

from enum import StrEnum
from typing import Annotated, Literal

from pydantic import ConfigDict, Field, StringConstraints

from edgetrain_protocol.base import Document
from edgetrain_protocol.names import NEVER_FAILURES, TRAINER_CONTAINER
from edgetrain_protocol.rules import LEFT_OPEN, UNIQUE, checked, one_of, rule

_CAMEL = r"^[A-Za-z]([A-Za-z0-9_,:]*[A-Za-z0-9_])?$"
Reason = Annotated[str, StringConstraints(min_length=1, max_length=128, pattern=_CAMEL)]
_QUALIFIED = r"^[A-Za-z0-9]([-A-Za-z0-9_./]*[A-Za-z0-9])?$"
ConditionName = Annotated[str, StringConstraints(min_length=1, max_length=317, pattern=_QUALIFIED)]
TrainerName = Annotated[str, StringConstraints(max_length=63, pattern=f"^{TRAINER_CONTAINER}$")]


class CleanPodPolicy(StrEnum):
    NONE = "None"
    RUNNING = "Running"
    ALL = "All"


class OnNonFiniteLoss(StrEnum):
    CONTINUE = "continue"
    FAIL = "fail"


class FailureAction(StrEnum):
    FAIL_JOB = "FailJob"
    IGNORE = "Ignore"
    COUNT = "Count"


class ExitCodeOperator(StrEnum):
    IN = "In"
    NOT_IN = "NotIn"


class OnExitCodes(Document):
    """Ends of the program by its exit code."""

    model_config = ConfigDict(
        json_schema_extra=checked(
            rule(
                f"self.operator != 'In' || !self.values.exists(code, code in {sorted(NEVER_FAILURES)})",
                "exit codes 74, 137, 143 and 255 come of lost disks, kills and power cuts and are never "
                "failures: remove them; for memory say onReasons: [OOMKilled]",
                field="values",
            ),
        )
    )

    container_name: TrainerName = TRAINER_CONTAINER
    """As in a Job's rule: the trainer, whose end alone is the program's."""
    operator: ExitCodeOperator
    """In: the exit code is one of `values`. NotIn: it is none of them."""
    values: list[Annotated[int, Field(ge=1, le=255)]] = Field(
        min_length=1, max_length=64, json_schema_extra=UNIQUE
    )
    """Exit codes."""


class OnPodCondition(Document):
    """A condition of the worker's pod."""

    type: ConditionName
    """Its type, such as DisruptionTarget: a drain, a preemption, an eviction."""
    status: Literal["True", "False", "Unknown"] = "True"
    """Its status."""


class FailureRule(Document):
    """What one kind of end means to the job."""

    model_config = ConfigDict(
        json_schema_extra=checked(
            *one_of(("onExitCodes", "onPodConditions", "onReasons"), "a failure rule", "remove it")
        )
    )

    action: FailureAction
    """FailJob: the job has failed at once. Ignore: it counts against no limit. Count: it counts against
    backoffLimit and backoffLimitPerNode, as failures of the program do without a rule."""
    on_exit_codes: OnExitCodes | None = None
    """Ends of the program by its exit code."""
    on_pod_conditions: list[OnPodCondition] | None = Field(None, min_length=1, max_length=20)
    """Ends while the worker's pod has one of these conditions."""
    on_reasons: list[Reason] | None = Field(None, min_length=1, max_length=20, json_schema_extra=UNIQUE)
    """Ends for one of these reasons: those of the job's conditions (ProgramFailed, OutOfMemory,
    EmptyDataset), and the kubelet's (OOMKilled, Evicted)."""


class MetricBound(Document):
    """What a number of the job's progress has to come to."""

    model_config = ConfigDict(
        json_schema_extra=checked(
            *one_of(("atLeast", "atMost"), "a metric of stopWhen", "remove the whole condition")
        )
    )

    name: Annotated[str, StringConstraints(min_length=1, max_length=256)]
    """As status.progress.metrics has it, which is what the main member gives to `session.log`. `loss`, where
    the program logs none by that name: the mean of the last step alone, status.progress.loss."""
    at_least: float | None = None
    """Met from this value up."""
    at_most: float | None = None
    """Met from this value down."""


class StopCondition(Document):
    """What is enough of training."""

    model_config = ConfigDict(
        json_schema_extra=checked(
            *one_of(("metric", "epochs", "steps", "trainingSeconds"), "a stop condition", "remove it")
        )
    )

    metric: MetricBound | None = None
    """A number that the program logs, or its loss."""
    epochs: int | None = Field(None, ge=1, le=1000000000)
    """So many epochs: met as the last of them begins, so that it ends with that one."""
    steps: int | None = Field(None, ge=1, le=1000000000000)
    """So many committed steps, at least."""
    training_seconds: int | None = Field(None, ge=1, le=31536000)
    """So many seconds for which the condition Training held, at least. What the job waits, or is suspended,
    does not count."""


class RunPolicy(Document):
    """When the job ends, and what is kept. Mutable."""

    model_config = ConfigDict(
        json_schema_extra=checked(
            rule(
                "!has(self.startDeadlineSeconds) || !has(self.activeDeadlineSeconds)"
                " || self.startDeadlineSeconds < self.activeDeadlineSeconds",
                "runPolicy.activeDeadlineSeconds ends the job before startDeadlineSeconds could: lower "
                "startDeadlineSeconds, or leave one of them out",
                field="startDeadlineSeconds",
            ),
        )
        | LEFT_OPEN
    )

    active_deadline_seconds: int | None = Field(None, ge=1, le=31536000)
    """The job has failed if it runs longer than this. Time that it is suspended does not count, and it begins
    anew when it goes on."""
    start_deadline_seconds: int | None = Field(None, ge=1, le=31536000)
    """The job has failed if no step was trained by so long after its start, be it for want of nodes, room,
    images or answers. What waiting does not mend ends it earlier, where fewer than nodes.min nodes are left
    without such trouble: an image that is not there, a name that is none, a missing key."""
    stop_when: list[StopCondition] = Field(default_factory=list, max_length=8)
    """Any of these ends the job early: no further epoch begins, models are saved, and the job is complete,
    with reason StopConditionMet. Once one is met, that is not taken back."""
    backoff_limit: int = Field(6, ge=0, le=1000)
    """Failures of the program, over all workers but those left out, before the job has failed. What ends it
    on several members of one formation counts once. A drain, a preemption, an eviction, a power cut or a node
    that goes dark is no failure."""
    backoff_limit_per_node: int | None = Field(None, ge=0, le=1000)
    """Failures of the program on one node before that node is left out, while nodes.min others are there;
    half of backoffLimit, rounded up, where unset. No less than backoffLimit: no node is left out."""
    failure_rules: list[FailureRule] = Field(default_factory=list, max_length=20)
    """What an end means to the job, by exit code, condition of the pod, or reason. The first rule that
    matches decides; where none does, failures of the program count, and whatever else ends a pod does not."""
    on_non_finite_loss: OnNonFiniteLoss = OnNonFiniteLoss.CONTINUE
    """What becomes of a job whose loss was NaN or infinite in three steps in a row. Each such step is skipped
    by all workers, unless the program has a scaler, and counted.
    continue: it trains on and says so. fail: the job has failed. The checkpoints from before are kept."""
    ttl_seconds_after_finished: int | None = Field(None, ge=0, le=31536000)
    """The job is deleted this long after its end; never where unset."""
    clean_pod_policy: CleanPodPolicy = CleanPodPolicy.RUNNING
    """Which pods are deleted once the job has ended and they had 30 s to end by themselves. Running: those
    that still run; the others stay, with their logs. All: these too. None: none, and one that does not
    end by itself goes on starting again."""
