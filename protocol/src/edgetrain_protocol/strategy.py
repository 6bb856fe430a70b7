"""The choices of how workers train together: apart from the spec, which no worker reads."""

from enum import StrEnum


class Preset(StrEnum):
    AUTO = "auto"
    DDP = "ddp"


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
