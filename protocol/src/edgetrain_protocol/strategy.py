"""The choices of how workers train together: apart from the spec, which no worker reads."""

from enum import StrEnum


class Preset(StrEnum):
    """What the other fields of a strategy are where a job does not say."""

    AUTO = "auto"
    DDP = "ddp"
    LOCAL_SGD = "local-sgd"
    FEDAVG = "fedavg"
    FEDNOVA = "fednova"
    FEDPROX = "fedprox"
    DILOCO = "diloco"
    ASYNC = "async"
    N_SYNC = "n-sync"
    N_BATCH_SYNC = "n-batch-sync"


class Grouping(StrEnum):
    ALL = "all"
    SITE = "site"
    SINGLE = "single"


class Reduction(StrEnum):
    AUTO = "auto"
    RING = "ring"
    STAR = "star"


class Shares(StrEnum):
    SPEED = "speed"
    EQUAL = "equal"


class Payload(StrEnum):
    """How gradients are packed on their way."""

    AUTO = "auto"
    FP32 = "fp32"
    BF16 = "bf16"
    INT8 = "int8"
    LOW_RANK = "lowRank"


MOST_LOCAL_STEPS = 10_000
"""Between two exchanges of a group with the others."""


class RoundPolicy(StrEnum):
    """When a round is closed."""

    SYNC = "sync"
    GROUPS = "groups"
    STEPS = "steps"
    DEADLINE = "deadline"
    STALENESS = "staleness"


class RoundPayload(StrEnum):
    """How the work of groups is packed on its way, and what it adds to a version."""

    FP32 = "fp32"
    BF16 = "bf16"
    INT8 = "int8"


class MergeWeights(StrEnum):
    """How much each group's work counts in a version."""

    EQUAL = "equal"
    SAMPLES = "samples"
    FED_NOVA = "fedNova"


class OuterRule(StrEnum):
    """How the work of a round moves the model."""

    PLAIN = "plain"
    NESTEROV = "nesterov"
    DELAYED_NESTEROV = "delayedNesterov"
