"""spec.strategy of an EdgeTrainingJob: how its workers train together."""

from pydantic import ConfigDict, Field

from edgetrain_protocol.base import Document
from edgetrain_protocol.rules import LEFT_OPEN, checked, rule
from edgetrain_protocol.strategy import (
    MOST_LOCAL_STEPS,
    Grouping,
    MergeWeights,
    OuterRule,
    Payload,
    Preset,
    Reduction,
    RoundPayload,
    RoundPolicy,
    Shares,
)

OF_ROUNDS = (
    rule(
        "has(self.roundLimit) || (has(self.roundPolicy) ? self.roundPolicy == 'sync'"
        " : !has(self.preset) || !(self.preset in ['n-sync', 'n-batch-sync']))",
        "a roundPolicy other than sync, and the presets n-sync and n-batch-sync, need roundLimit: groups, "
        "steps, seconds or versions",
        field="roundLimit",
    ),
    rule(
        "!has(self.outerMomentum) || (has(self.outer) && self.outer != 'plain')",
        "outerMomentum is of outer nesterov or delayedNesterov: name one, or leave outerMomentum out",
        field="outerMomentum",
    ),
)
LIKE_THE_OTHERS = (
    "preset",
    "grouping",
    "localSteps",
    "reduction",
    "payload",
    "shares",
    "checkpointEverySeconds",
)
"""What all workers have to do alike from their first step on. How their work is merged, one decides."""


class Strategy(Document):
    """How the workers train together."""

    model_config = ConfigDict(json_schema_extra=LEFT_OPEN | checked(*OF_ROUNDS))

    preset: Preset = Preset.AUTO
    """What the other fields are where nothing is said of them. auto: the operator chooses from measurements.
    ddp: gradients are averaged at every step. With the others each worker is a group by itself, unless
    grouping says otherwise. local-sgd: the mean of all, every 16 steps. fedavg: by samples, every 50.
    fednova: the same, whatever the number of their steps. fedprox: as fedavg, with proximal 0.01. diloco:
    with momentum, every 500. async: with delayed momentum, every 50, waiting for nobody who is not far
    behind. n-sync: once roundLimit groups have come. n-batch-sync: once their work holds roundLimit
    steps."""
    grouping: Grouping = Grouping.ALL
    """Who averages gradients with whom at every step. all: all workers are one group. site: those whose nodes
    carry one site label. single: each worker trains by itself. Groups train one model, in rounds: after
    localSteps steps a group's work is merged with the others'. Experimental, but for all, and behind the
    chart's featureGates.grouping."""
    local_steps: int = Field(16, ge=1, le=MOST_LOCAL_STEPS)
    """Steps of a group between two exchanges with the others, where all groups train one model."""
    round_policy: RoundPolicy = RoundPolicy.SYNC
    """When a round is closed, and with whose work. sync: when all groups that are heard have come, each of
    which is waited for as long as it usually takes. groups: when roundLimit of them have. steps: when those
    who have come bring roundLimit steps. deadline: roundLimit seconds after it began. staleness: with whoever
    comes, unless another would fall roundLimit versions behind. Who comes later is in the next round.
    Mutable."""
    round_limit: int | None = Field(None, ge=1, le=1_000_000)
    """Of roundPolicy: groups, steps, seconds or versions. Mutable."""
    round_payload: RoundPayload = RoundPayload.FP32
    """How the work of groups goes to those who merge it, and comes back: fp32 as it is, bf16 half as large,
    int8 a quarter. What packing leaves out of a group's work goes with its next; of what comes back it is
    nothing on average. Mutable."""
    merge_weights: MergeWeights = MergeWeights.EQUAL
    """How much each group's work counts in a version. equal: the same. samples: by the samples that it has
    trained on (FedAvg). fedNova: by samples too, but whatever the number of its steps was. Mutable."""
    proximal: float = Field(0.0, ge=0, le=100)
    """How strongly a group's steps are pulled back to the version that its work is measured from: mu of
    FedProx, for groups whose data differ. 0: not at all. Mutable."""
    outer: OuterRule = OuterRule.PLAIN
    """How the work of a round moves the model. plain: as far as it goes. nesterov: with momentum over rounds
    (DiLoCo). delayedNesterov: the same where rounds are closed without waiting for all. Mutable."""
    outer_learning_rate: float | None = Field(None, ge=0.001, le=10)
    """By which the work of a round is multiplied; 1 where unset, and 0.7 with momentum. Mutable."""
    outer_momentum: float | None = Field(None, ge=0, le=0.999)
    """Of outer, where it has one; 0.9 where unset. Mutable."""
    reduction: Reduction = Reduction.AUTO
    """How a group sums gradients: the faster by measurement, a ring, or a star through the aggregator."""
    payload: Payload = Payload.AUTO
    """How gradients are packed on their way: fp32 as they are, bf16 half as large, int8 a quarter, lowRank a
    fraction (PowerSGD). What int8 and lowRank leave out of a step goes with the next. auto: fp32, bf16 or
    int8, whatever makes steps shorter by measurement; never lowRank, which not every model bears."""
    shares: Shares = Shares.SPEED
    """How each batch is cut: by measured speed, or equally."""
    checkpoint_every_seconds: int = Field(30, ge=1, le=86400)
    """Seconds between checkpoints."""
