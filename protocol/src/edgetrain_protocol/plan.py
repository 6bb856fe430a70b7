"""The plan: who is a member, who aggregates and who succeeds, how the group reduces.

Named by (job uid, lineage, revision). The operator keeps it in the job's ConfigMap, written by
compare-and-swap; a worker is served its own slice, which it goes on following when nobody answers.
"""

from collections import Counter
from collections.abc import Iterable
from enum import StrEnum
from typing import Annotated, Self

from pydantic import Field, StringConstraints, model_validator

from edgetrain_protocol.base import Count, Name, Port, Quantity, ShortText, Tolerant
from edgetrain_protocol.history import ALL, GROUP_NAME, History, OfHistory
from edgetrain_protocol.strategy import (
    MOST_LOCAL_STEPS,
    MergeWeights,
    OuterRule,
    Payload,
    Reduction,
    RoundPayload,
    RoundPolicy,
    Shares,
)

_WORKER = "[a-z0-9]([-a-z0-9]*[a-z0-9])?"
Worker = Annotated[str, StringConstraints(pattern=f"^{_WORKER}$", max_length=63)]
"""A worker's name, as `identity.worker_of` makes it."""
GroupName = Annotated[str, StringConstraints(pattern=f"^{GROUP_NAME}$", max_length=63)]
Founder = Annotated[str, StringConstraints(pattern=f"^{_WORKER}/[^/]+$", max_length=512)]
"""A pod: `worker/uid`."""
HIGHEST_GENERATION = 10**9
"""One more a second for thirty years: no history gets there."""
HIGHEST_REVISION = 10**12
"""Nor to this one."""


class Member(Tolerant):
    """A worker in the plan. Its incarnations come and go without a new plan."""

    worker: Worker
    node: Name
    pod_uid: ShortText
    address: ShortText = Field(description="host of the pod; ports are those of `names`, or as given here")
    control_port: Port
    state_port: Port
    probe_port: Port
    site: ShortText = ""


class Group(Tolerant):
    name: Name
    members: tuple[Member, ...] = Field(max_length=1000)
    succession: tuple[Worker, ...] = Field(
        min_length=1,
        max_length=1000,
        description="Workers in the order in which they lead; the first is the aggregator.",
    )
    term: Count = Field(1, description="Rises with each change of aggregator.")
    reduction: Reduction = Reduction.RING
    payload: Payload = Payload.FP32

    @property
    def aggregator(self) -> str:
        return self.succession[0]


class Phase(StrEnum):
    """What the workers shall do."""

    WAIT = "wait"
    """Fewer members than the job's min: train no step."""
    TRAIN = "train"
    STOP = "stop"
    """Suspended or over: save and end."""


class Origin(OfHistory):
    """The one state from which a generation starts. Who has it starts from it, all others fetch it from them.
    Its history is that of the checkpoint, where it is one."""

    step: Count
    worker: ShortText = ""
    """Who holds it in memory; empty where it is a checkpoint."""
    incarnation: ShortText = ""
    """Which start of that worker's program holds it: with the process it is lost."""
    digest: ShortText = ""
    """Of the checkpoint: tells it from another of the same step."""


class Holder(Tolerant):
    """A disk that the log of rounds is to be kept on, and where its process is asked."""

    name: Annotated[str, StringConstraints(pattern=f"^{_WORKER}$", max_length=128)]
    """Of this disk, in this lineage: nobody else ever has it."""
    worker: Worker
    pod_uid: ShortText
    address: ShortText
    port: Port


class RoundSettings(Tolerant):
    """By what work is merged."""

    policy: RoundPolicy = RoundPolicy.SYNC
    limit: Count = 0
    """Of the policy."""
    weights: MergeWeights = MergeWeights.EQUAL
    outer: OuterRule = OuterRule.PLAIN
    learning_rate: Quantity = 1.0
    momentum: Quantity = 0.0
    payload: RoundPayload = RoundPayload.FP32
    proximal: Quantity = 0.0


class Rounds(Tolerant):
    """How the groups of a job train one model."""

    local_steps: int = Field(ge=1, le=MOST_LOCAL_STEPS)
    """Of a group, after which its work goes to the others."""
    settings: RoundSettings = RoundSettings()
    """Holders act by those that the log names, where the lead has written them."""
    holders: tuple[Holder, ...] = Field(min_length=1, max_length=5)
    """Best first: who is to be in the council that holds the log."""
    founder: ShortText
    """Which of them begins the log, which nobody has yet in this lineage: there is only ever one that may."""
    groups: dict[GroupName, tuple[Worker, ...]] = Field(default_factory=dict, max_length=1000)
    """Who speaks for each group. Nothing is merged any more of one that is not named, and its data go to the
    others. Only groups with a holder are told."""


class Plan(Tolerant):
    """What a worker is served: its own group and the job's settings."""

    job_uid: ShortText
    lineage: int = Field(ge=1, le=HIGHEST_GENERATION)
    group: GroupName = ALL
    """That of the worker that it is served to, also where the group is without that worker now."""
    generation: int = Field(1, ge=1, le=HIGHEST_GENERATION)
    """Of the group."""
    origin: Origin | None = None
    """The state from which this generation starts; None: from the program's own beginning."""
    revision: int = Field(ge=1, le=HIGHEST_REVISION)
    founders: tuple[Founder, ...] = Field((), max_length=1000)
    """Pods (`worker/uid`) of which more than half must be in the generation's first formation. Fixed with
    the first revision of a generation whose phase is train: sides that hold different revisions could
    otherwise both begin."""
    begun: bool = False
    """A step was committed in this generation: no pod may begin it again that remembers no vote of its
    own."""
    phase: Phase = Phase.TRAIN
    finish: bool = False
    """The job ends early: no further epoch begins, and programs save their models. Taken back only where
    all state is lost, and a generation starts from the program's own beginning."""
    groups: tuple[Group, ...] = Field(max_length=1000)
    """That group, and no other; empty where it is without this worker."""
    rounds: Rounds | None = None
    """None where each group trains a model of its own."""
    shares: Shares = Shares.SPEED
    checkpoint_every_seconds: Count = 30
    durable_step: Count | None = Field(None, description="Newest step recorded as durable.")
    nudge: Count = Field(
        0, description="Rises where nobody trains although all are heard: who stands still tries anew."
    )

    @property
    def history(self) -> History:
        return History(self.lineage, self.group, self.generation)

    @model_validator(mode="after")
    def _each_worker_once(self) -> Self:
        check_each_worker_once(self.groups)
        return self

    def group_of(self, worker: str) -> Group | None:
        """The group that has this worker, or None where the plan leaves it out."""
        return next((g for g in self.groups if any(m.worker == worker for m in g.members)), None)


def check_each_worker_once(groups: Iterable[Group]) -> None:
    """
    Raises:
        ValueError: names a worker that is a member twice.
    """
    times = Counter(member.worker for group in groups for member in group.members)
    if twice := [worker for worker, count in times.items() if count > 1]:
        raise ValueError(f"groups: {twice[0]} is a member twice; a worker has one pod, in one group")
