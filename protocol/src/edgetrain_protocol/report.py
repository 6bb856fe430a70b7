"""The report: what a worker's supervisor and its profiler measured. Either part may be missing. It is sent to
the fleet API, and kept on disk while nobody answers and sent later with its times."""

from enum import StrEnum

from pydantic import Field

from edgetrain_protocol.base import (
    MOST_LOGGED,
    Count,
    Logged,
    LongText,
    Many,
    Moment,
    Name,
    Named,
    Port,
    Quantity,
    Reading,
    ShortText,
    Tolerant,
)
from edgetrain_protocol.history import OfHistory
from edgetrain_protocol.names import OWN_PHASES, ROUNDS_PORT
from edgetrain_protocol.rounds_report import HolderPart, RoundsPart
from edgetrain_protocol.strategy import Payload

MOST_REQUEST_BYTES = 1 << 19
"""Of the reports that are sent together. More would keep all other workers waiting while they are read: half
as much takes some 50 ms, however it is made up."""

MOST_LABELS = 32
"""Of a worker's own data, the rest counted together."""


class TrainerState(StrEnum):
    STARTING = "starting"
    """The program runs but has not come to its loop: importing, loading data."""
    WAITING = "waiting"
    """Ready, and no plan has it in yet, or the plan says wait."""
    JOINING = "joining"
    TRAINING = "training"
    PAUSED = "paused"
    """Without a majority: keeps its state and waits."""
    HUNG = "hung"
    """Alive, but its program does not come back to the session, and its group went on without it."""
    FINISHED = "finished"
    FAILED = "failed"


class Formation(OfHistory):
    """The torch.distributed group that the reporter is in."""

    revision: Count
    number: Count
    aggregator: Name
    members: Many[Name] = Field(max_length=1000)


class Voter(Tolerant):
    """A member of a formation, as far as votes go."""

    worker: Name
    pod_uid: ShortText
    incarnation: ShortText = ""
    """Which start of its program; empty for a founder, who may be any."""


class Quorum(Tolerant):
    """A formation that may have committed: nothing goes on without enough of its voters."""

    number: Count
    aggregator: Name
    """Worker: exactly half is enough with it."""
    voters: Many[Voter] = Field(max_length=1000)
    """Its members, without those who are known to have ended."""


class Checkpoint(OfHistory):
    step: Count
    digest: ShortText
    path: LongText = ""
    at: Moment = Field(0.0, description="Unix time, seconds, when it was saved; 0 where that is not known.")


class Traffic(Tolerant):
    """Bytes of the connections over which a worker trains. A second tier adds scopes."""

    scope: ShortText
    """site: with members of the same site; wan: with those of others."""
    sent_bytes: Count = 0
    received_bytes: Count = 0


class Totals(Tolerant):
    """Prometheus' counters: since the program began, and of recoveries since its supervisor did."""

    steps: Count = Field(0, description="Committed; those that came with another's state do not count.")
    samples: Count = Field(0, description="In those steps, over all members.")
    phase_seconds: Named[Quantity] = Field(default_factory=dict, max_length=16)
    recovery_seconds: Quantity = 0.0
    traffic: Many[Traffic] = Field((), max_length=8)


DISK_FAILED, VOTES_LOST = "DiskFailed", "VotesLost"
"""Reasons of a worker that takes no part: its votes cannot be kept, or are gone with its disk."""
DISK_SILENT = "DiskSilent"
"""Reason of a worker that gives no vote for now: they wait for its disk."""

PROGRAM_DIFFERS = "ProgramDiffers"
"""Reason of a worker whose program's files are not the others'."""


class TrainingPart(OfHistory):
    """From the supervisor."""

    state: TrainerState
    incarnation: ShortText
    program: ShortText = Field("", description="Hash of the program's files; empty where not known.")
    revision_held: Count = 0
    formation: Formation | None = None
    base: Count = Field(0, description="Number of the newest formation known to have committed a step.")
    lost: Many[Name] = Field(
        (), max_length=1000, description="Members of the plan whom the formation has put out."
    )
    joinable: Many[Name] = Field((), max_length=1000)
    step: Count = 0
    epoch: Count = 0
    percent: float = Field(0.0, ge=0, le=100, description="0 also where the program alone knows.")
    loss: float | None = None
    loss_not_finite_since: Count | None = Field(
        None, description="The first of the last steps in a row whose loss was not finite."
    )
    metrics: Named[Logged] = Field(
        default_factory=dict, max_length=MOST_LOGGED, description="What else the program logged."
    )
    local_samples: Count = Field(0, description="Of data that the worker has alone; 0 where it has none.")
    local_labels: Named[Count] = Field(
        default_factory=dict, max_length=MOST_LABELS, description="How many of them, by label."
    )
    samples: Count = 0
    samples_per_second: Quantity = Field(0.0, description="Of the group.")
    share: float = Field(
        1.0, ge=0, le=1, description="The part of each step's samples that is this member's."
    )
    steps_per_second: Quantity = 0.0
    step_seconds: Quantity = 0.0
    phase_seconds: Named[Quantity] = Field(default_factory=dict, max_length=16)
    reduce_bytes: Count = Field(0, description="Bytes of one reduction as fp32: four for each parameter.")
    payload: Payload | None = Field(None, description="How they are packed; none before the first step.")
    codec_seconds: Named[Quantity] = Field(
        default_factory=dict,
        max_length=8,
        description="What packing 1 MiB of fp32 numbers and unpacking it takes there, by payload.",
    )
    recoveries: Count = 0
    recovery_seconds: Quantity = Field(0.0, description="Of the last recovery.")
    totals: Totals = Field(default_factory=Totals)
    samples_lost: Count = 0
    samples_twice: Count = 0
    checkpoint: Checkpoint | None = None
    checkpoints: Many[Checkpoint] = Field((), max_length=8, description="All that it holds.")
    store_read: bool = Field(
        False, description="It knows what the job's remote store holds, and that is among its checkpoints."
    )
    holds: bool = Field(False, description="Its trainer has the state of `step` of this history in memory.")
    counted: Many[Quorum] = Field(
        (), max_length=16, description="What its group's next vote must have enough of, as far as it knows."
    )
    waits: LongText = Field("", description="What it waits for, and by which rule; empty while steps go on.")
    waits_for: Many[Name] = Field((), max_length=1000, description="Workers that it waits for.")
    still_seconds: Quantity = Field(
        0.0, description="Since its trainer last got on: committed, fetched, or became ready to."
    )
    rounds: RoundsPart | None = None
    log_disk: ShortText = Field(
        "", description="Identity of the disk that it would keep a log of rounds on; empty while not known."
    )
    holder: HolderPart | None = None
    model: LongText | None = Field(None, description="Path of the finished model on this worker's volume.")
    model_pushed: bool = Field(False, description="The job's remote store holds it too.")
    model_not_pushed: LongText = Field("", description="Why not, where that was this worker's to do.")
    error: LongText | None = None
    error_reason: ShortText | None = Field(
        None, description="CamelCase: ProgramFailed, ModelMismatch, EmptyDataset, BadCheckpoint..."
    )
    exit_code: int | None = Field(
        None, ge=0, le=255, description="With which the program ended, where it has ended with an error."
    )
    warning: LongText | None = Field(None, description="What is wrong now though training survives it.")
    warning_reason: ShortText | None = Field(
        None, description="CamelCase: CheckpointNotSaved, BadCheckpoint, ModelNotSaved..."
    )

    @property
    def own_seconds(self) -> float:
        """Of a step, on average since the program began: what this member works by itself; 0: not known."""
        done = self.totals
        return sum(done.phase_seconds.get(phase, 0.0) for phase in OWN_PHASES) / max(1, done.steps)

    @property
    def own_samples_per_second(self) -> float:
        """This member's part of what the group trains."""
        return self.samples_per_second * self.share


class LinkMeasure(Tolerant):
    """One probe, timed by its receiver."""

    peer: Name
    bits_per_second: float = Field(ge=0, le=1e13)
    peer_load_bits_per_second: float = Field(
        0.0, ge=0, le=1e13, description="What else the peers' links carried meanwhile: it was not on offer."
    )
    round_trip_seconds: float | None = Field(None, ge=0, le=3600)
    bytes: Count
    at: Moment = Field(description="Unix time, seconds.")


class NodePart(Tolerant):
    """From the profiler."""

    links: Many[LinkMeasure] = Field((), max_length=256)
    cpu_ratio: Quantity = Field(0.0, description="Cores in use by the node over its cores.")
    cpu_cores: Quantity = 0.0
    memory_bytes: Count = 0
    memory_available_bytes: Count = 0
    temperature_celsius: Reading | None = None
    battery_ratio: Reading | None = None
    received_bytes: Count = 0
    sent_bytes: Count = 0
    probe_failed: Name | None = Field(None, description="Peer of an ordered probe that gave no measure.")
    bandwidth_alarm: bool = Field(
        False, description="The exchanges show a link much changed since its last probe."
    )


class Report(Tolerant):
    worker: Name
    node: Name
    pod: Name
    pod_uid: ShortText
    address: ShortText
    control_port: Port
    state_port: Port
    probe_port: Port
    rounds_port: Port = ROUNDS_PORT
    sequence: Count
    at: Moment = Field(description="Unix time, seconds, when it was measured.")
    training: TrainingPart | None = None
    measured: NodePart | None = None


class ProbeTarget(Tolerant):
    peer: Name
    address: ShortText
    port: Port
    bits_per_second: float | None = Field(None, ge=0, description="What is known of the peer's own link.")


class ProbeOrder(ProbeTarget):
    """One probe that the operator asks a profiler to make now: no other is under way at any end."""

    max_bytes: Count = Field(description="Of one burst.")
    deadline_seconds: Quantity
    bursts: int = Field(3, ge=1, le=9, description="In each direction; the median counts.")
    helpers: Many[ProbeTarget] = Field(
        (),
        max_length=8,
        description="Peers that take part at the same time, where one peer alone could not fill the link.",
    )


class ReportAnswer(Tolerant):
    """What the fleet API answers to a report."""

    revision: Count = 0
    probe: ProbeOrder | None = None
    report_every_seconds: float = 2.0
