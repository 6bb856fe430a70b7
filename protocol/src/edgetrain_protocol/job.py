"""spec of an EdgeTrainingJob. The CRD's schema is generated from here.

Every list and string has a bound: the API server prices CEL rules by them, and a bound added
later would break stored objects. Immutable except where a description says otherwise.
"""

from enum import StrEnum
from typing import Annotated, Any, Literal

from pydantic import Field, StringConstraints

from edgetrain_protocol.base import Document, LongText, Name, ShortText
from edgetrain_protocol.names import MANAGED_BY

LabelKey = Annotated[str, StringConstraints(min_length=1, max_length=317)]
LabelValue = Annotated[str, StringConstraints(max_length=63)]
FreeForm = Annotated[dict[str, Any], Field(json_schema_extra={"x-kubernetes-preserve-unknown-fields": True})]
"""A part of the Kubernetes API passed through as it is; the API server checks it when the pod is made."""


class Operator(StrEnum):
    IN = "In"
    NOT_IN = "NotIn"
    EXISTS = "Exists"
    DOES_NOT_EXIST = "DoesNotExist"


class LabelRequirement(Document):
    key: LabelKey
    operator: Operator
    values: list[LabelValue] = Field(default_factory=list, max_length=64)


class LabelSelector(Document):
    """As in the Kubernetes API. Empty: every node."""

    match_labels: dict[str, LabelValue] = Field(default_factory=dict, max_length=32)
    match_expressions: list[LabelRequirement] = Field(default_factory=list, max_length=32)


class EnvVar(Document):
    name: Annotated[str, StringConstraints(pattern=r"^[A-Za-z_][A-Za-z0-9_]*$", max_length=128)]
    value: LongText | None = None
    value_from: FreeForm | None = None


class ConfigMapSource(Document):
    name: Name = Field(description="ConfigMap in the job's namespace; its keys become files in /program.")


class ProgramSource(Document):
    """Where the program's files come from: one of the fields."""

    config_map: ConfigMapSource | None = None
    uri: ShortText | None = Field(None, description="A python file or an archive to fetch into /program.")


class Program(Document):
    image: ShortText | None = Field(None, description="Image of the worker; the chart's trainer image where unset.")
    command: list[LongText] = Field(
        default_factory=list, max_length=64, description="What runs as a worker; `python /program/main.py` where unset."
    )
    args: list[LongText] = Field(default_factory=list, max_length=128)
    env: list[EnvVar] = Field(default_factory=list, max_length=64)
    source: ProgramSource | None = None


class Nodes(Document):
    selector: LabelSelector = Field(
        default_factory=LabelSelector, description="Nodes that get a worker, among those labelled as edge nodes."
    )
    exclude: list[Name] = Field(default_factory=list, max_length=100, description="Names of nodes left out. Mutable.")
    min: int = Field(1, ge=1, le=1000, description="Training waits below this number of workers. Mutable.")
    max: int = Field(100, ge=0, le=1000, description="Most workers at a time. Mutable; the scale subresource.")


class Override(Document):
    """What differs on a class of nodes."""

    selector: LabelSelector
    image: ShortText | None = None
    env: list[EnvVar] = Field(default_factory=list, max_length=64)
    resources: FreeForm | None = None
    tolerations: list[FreeForm] = Field(default_factory=list, max_length=16)


class TemplateMetadata(Document):
    labels: dict[str, LabelValue] = Field(default_factory=dict, max_length=32)
    annotations: dict[str, LongText] = Field(default_factory=dict, max_length=32)


class TemplateContainer(Document):
    name: Literal["trainer", "profiler"]
    env: list[EnvVar] = Field(default_factory=list, max_length=64)
    resources: FreeForm | None = None
    volume_mounts: list[FreeForm] = Field(default_factory=list, max_length=16)


class TemplateSpec(Document):
    containers: list[TemplateContainer] = Field(default_factory=list, max_length=2)
    volumes: list[FreeForm] = Field(default_factory=list, max_length=16)
    tolerations: list[FreeForm] = Field(default_factory=list, max_length=16)
    image_pull_secrets: list[FreeForm] = Field(default_factory=list, max_length=8)
    priority_class_name: Name | None = None
    runtime_class_name: Name | None = None
    host_network: bool = False


class Template(Document):
    """Parts of the worker's pod; the containers `trainer` and `profiler` are ours."""

    metadata: TemplateMetadata = Field(default_factory=TemplateMetadata)
    spec: TemplateSpec = Field(default_factory=TemplateSpec)


class OnLostBlock(StrEnum):
    WAIT = "wait"
    REISSUE = "reissue"


class DataPolicy(StrEnum):
    LOCAL = "local"
    DISTRIBUTED = "distributed"


class Data(Document):
    policy: DataPolicy = Field(
        DataPolicy.DISTRIBUTED,
        description="distributed: every worker holds the whole set and the group shares each batch out; "
        "local: each worker's data stays on its node.",
    )
    on_lost_block: OnLostBlock = OnLostBlock.WAIT


class Claim(Document):
    """A claim made for each node of the job."""

    storage_class_name: Name | None = None
    size: Annotated[str, StringConstraints(pattern=r"^[0-9]+(\.[0-9]+)?(Ki|Mi|Gi|Ti|k|M|G|T)?$", max_length=32)] = "1Gi"


class Store(Document):
    """Where something is kept: one of the fields."""

    volume: FreeForm | None = Field(None, description="A volume source, as in a pod.")
    claim: Claim | None = Field(None, description="A PersistentVolumeClaim for each node of the job.")
    uri: ShortText | None = Field(None, description="A remote store.")


class Storage(Document):
    checkpoint: Store | None = Field(None, description="Where checkpoints are kept; the pod's own disk where unset.")
    model: Store | None = Field(None, description="Where the trained model is put; the pod's own disk where unset.")
    data: Store | None = Field(None, description="The data set, mounted for the program.")


class Preset(StrEnum):
    AUTO = "auto"
    DDP = "ddp"


class Reduction(StrEnum):
    AUTO = "auto"
    RING = "ring"
    STAR = "star"


class Shares(StrEnum):
    SPEED = "speed"
    EQUAL = "equal"


class Strategy(Document):
    preset: Preset = Preset.AUTO
    reduction: Reduction = Field(
        Reduction.AUTO, description="How a group sums gradients: the faster by measurement, a ring, or a star through the aggregator."
    )
    shares: Shares = Field(Shares.SPEED, description="How each batch is cut: by measured speed, or equally.")
    checkpoint_every_seconds: int = Field(30, ge=1, le=86400)


class Elastic(Document):
    join_delay_seconds: int = Field(0, ge=0, le=3600, description="A node must have been Ready this long to get a worker.")
    leave_grace_seconds: int = Field(
        5, ge=0, le=3600, description="A member that alone of its group is silent this long leaves the plan."
    )
    offline_grace_seconds: int = Field(
        86400, ge=0, le=31536000, description="A group of which nobody is heard stays in the plan this long."
    )


class RunPolicy(Document):
    """Mutable."""

    active_deadline_seconds: int | None = Field(None, ge=1, le=31536000)
    backoff_limit: int = Field(6, ge=0, le=1000, description="Failures of the program, over all workers, before the job has failed.")
    ttl_seconds_after_finished: int | None = Field(None, ge=0, le=31536000)


class JobSpec(Document):
    suspend: bool = Field(False, description="Stop all workers and keep their state. Mutable.")
    managed_by: ShortText = Field(MANAGED_BY, description="Which controller looks after this job.")
    program: Program = Field(default_factory=Program)
    nodes: Nodes = Field(default_factory=Nodes)
    overrides: list[Override] = Field(default_factory=list, max_length=16)
    template: Template = Field(default_factory=Template)
    data: Data = Field(default_factory=Data)
    storage: Storage = Field(default_factory=Storage)
    strategy: Strategy = Field(default_factory=Strategy)
    elastic: Elastic = Field(default_factory=Elastic)
    run_policy: RunPolicy = Field(default_factory=RunPolicy)
