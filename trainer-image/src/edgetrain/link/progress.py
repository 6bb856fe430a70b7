"""How a trainer gets on, as it tells its supervisor at each phase. Plain frozen data."""

from dataclasses import dataclass, field

from edgetrain.link.position import FormationId
from edgetrain_protocol.strategy import Payload


@dataclass(frozen=True)
class Totals:
    """Counted since the program began. In each message, since any may be missed."""

    steps: int = 0
    """Committed with samples in them; those that were replayed have none here."""
    samples: int = 0
    """In those steps, over all members."""
    phase_seconds: dict[str, float] = field(default_factory=dict)
    carried: dict[str, list[int]] = field(default_factory=dict)
    """Bytes sent and bytes received by the formations' connections, by scope."""


@dataclass(frozen=True)
class Progress:
    formation: FormationId | None
    phase: str
    """data, forward, backward, reduce, vote or apply"""
    step: int
    """Committed steps."""
    epoch: int = 0
    percent: float = 0.0
    """0 also where the program alone knows how much there is to do."""
    loss: float | None = None
    """None also where it was not finite."""
    not_finite_since: int | None = None
    """The first of the last committed steps in a row whose loss was not finite."""
    samples: int = 0
    """Samples in committed steps, over all members."""
    samples_per_second: float = 0.0
    """Of the group."""
    steps_per_second: float = 0.0
    step_seconds: float = 0.0
    phase_seconds: dict[str, float] = field(default_factory=dict)
    """Of the last step, by phase."""
    reduce_bytes: int = 0
    payload: Payload = Payload.FP32
    codec_seconds: dict[str, float] = field(default_factory=dict)
    """What packing 1 MiB of fp32 numbers and unpacking it takes here, by payload."""
    interface: str = ""
    share: float = 0.0
    """The part of the global batch that this member got, 0 to 1."""
    held: int = 0
    """Newest plan revision that every member of the formation held at the last vote."""
    samples_returned: int = 0
    """Samples that a lost member had in hand and that went back into the record."""
    totals: Totals = field(default_factory=Totals)
    metrics: dict[str, float | None] = field(default_factory=dict)
    """What else the program logged; None for what was not finite."""
    local_samples: int = 0
    """Of data that this worker has alone, in its last pass through them."""
    local_labels: dict[str, int] = field(default_factory=dict)
    """How many of them, by label."""


@dataclass(frozen=True)
class Exchanged:
    """Where its group is among the others, in rounds, as far as its envoy has read the log."""

    version: int
    """The newest."""
    applied: int
    """The version that its work is measured from."""
    merged: int
    """Samples that versions contain, of `total` in all epochs."""
    total: int
    groups: int
    """That take part."""
    trouble: str = ""
    """Why no holder does what it is asked to; empty while one does."""
    ended: bool = False
    """It has trained on all data of its own, and waits for the others."""
