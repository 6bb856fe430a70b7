"""spec of an EdgeTrainingJob. The CRD's schema is generated from here.

Every list and string has a bound: the API server prices CEL rules by them, and a bound added
later would break stored objects. Immutable except where a description says otherwise.
"""

from enum import StrEnum
from typing import Annotated

from pydantic import ConfigDict, Field, StringConstraints

from edgetrain_protocol.base import Document, LongText, ShortText
from edgetrain_protocol.names import MANAGED_BY
from edgetrain_protocol.pods import EnvVar, LabelSelector, ObjectName, Override, Store
from edgetrain_protocol.remote import OF_A_SOURCE, DataStore, Sha256, Uri
from edgetrain_protocol.rules import LEFT_OPEN, UNIQUE, checked, immutable, keyed, one_of, rule
from edgetrain_protocol.run_policy import RunPolicy
from edgetrain_protocol.strategy_spec import LIKE_THE_OTHERS, Strategy
from edgetrain_protocol.template import Template


class ConfigMapSource(Document):
    """A ConfigMap in the job's namespace."""

    name: ObjectName
    """Its name; its keys become files in /program."""


class ProgramSource(Document):
    """Where the program's files come from."""

    model_config = ConfigDict(
        json_schema_extra=checked(
            *one_of(("configMap", "uri"), "program.source"),
            *OF_A_SOURCE,
        )
    )

    config_map: ConfigMapSource | None = None
    """A ConfigMap whose keys become files in /program. To be left as it is: a worker that starts with other
    files than the rest is kept out, and named."""
    uri: Uri | None = None
    """What is fetched into /program at each start of a pod: a Python file under its own name, an archive,
    which is unpacked, or a directory; as in storage.data."""
    sha256: Sha256 | None = None
    """As in storage.data."""
    secret: ObjectName | None = None
    """As in storage.data."""


class Program(Document):
    """What every worker runs."""

    image: ShortText | None = None
    """Image of the worker; the chart's trainer image where unset."""
    command: list[LongText] = Field(default_factory=list, max_length=64)
    """What runs as a worker; `python /program/main.py` where unset."""
    args: list[LongText] = Field(default_factory=list, max_length=128)
    """Arguments added to the command."""
    env: list[EnvVar] = Field(default_factory=list, max_length=64, json_schema_extra=keyed("name"))
    """Environment of the program."""
    source: ProgramSource | None = None
    """Files put into /program; the image's own where unset."""


class Nodes(Document):
    """Which nodes get a worker, and how many."""

    model_config = ConfigDict(
        json_schema_extra=checked(
            immutable("selector", "nodes"),
            rule(
                "self.max == 0 || self.min <= self.max",
                "nodes.min is above nodes.max: lower min or raise max (max 0 stops all workers)",
            ),
        )
    )

    selector: LabelSelector = Field(default_factory=LabelSelector)
    """Nodes that get a worker, among those labelled as edge nodes."""
    exclude: list[ObjectName] = Field(default_factory=list, max_length=100, json_schema_extra=UNIQUE)
    """Names of nodes left out. Mutable."""
    min: int = Field(1, ge=1, le=1000)
    """Training waits below this number of workers. Mutable."""
    max: int = Field(100, ge=0, le=1000)
    """Most workers at a time; none where 0. Mutable, also by `kubectl scale`."""


class Scheduling(Document):
    """How the job shares nodes with others."""

    model_config = ConfigDict(
        json_schema_extra=checked(
            immutable("queue", "scheduling", optional=True),
            rule(
                "has(self.queue) || self.priority == 0",
                "scheduling.priority says who of a queue comes first: name the queue in scheduling.queue",
                field="priority",
            ),
        )
    )

    queue: ObjectName | None = None
    """Jobs of one queue share out its nodes: none has workers of two. A queue is one namespace's, unless the
    chart's jobs.sharedQueues names it. Nothing is shared out where unset: a node may have workers of several
    jobs then."""
    priority: int = Field(0, ge=-1000, le=1000)
    """Jobs of a higher one get nodes.min before others; what is left is shared evenly. Mutable."""


class OnLostBlock(StrEnum):
    WAIT = "wait"
    REISSUE = "reissue"


class DataPolicy(StrEnum):
    LOCAL = "local"
    DISTRIBUTED = "distributed"


class Data(Document):
    """Who trains on what."""

    model_config = ConfigDict(
        json_schema_extra=checked(
            rule(
                "!has(self.onLostBlock) || self.onLostBlock == 'wait'",
                "blocks are leased between groups, and a job is one group so far: use wait",
                field="onLostBlock",
            ),
        )
        | LEFT_OPEN
    )

    policy: DataPolicy = DataPolicy.DISTRIBUTED
    """distributed: every worker holds the whole set and the group shares each batch out.
    local: each worker's data stays on its node. In each step every worker has a batch of its own, weighed by
    its samples: session.loader is local then, unless the program says otherwise."""
    on_lost_block: OnLostBlock = OnLostBlock.WAIT
    """What becomes of a block of data leased to a side that went dark.
    reissue: another gets it. Not supported yet."""


class Storage(Document):
    """Where things are kept."""

    checkpoint: Store | None = None
    """Where checkpoints are kept; the pod's own disk, gone with the pod, where unset. With uri the aggregator
    pushes its own there, beside training; the job goes on from there when no node has one."""
    model: Store | None = None
    """Where the trained model is put; the pod's own disk, gone with the pod, where unset. With uri one worker
    pushes it there, as model.safetensors, before the job is Complete; after half an hour it is without."""
    data: DataStore | None = None
    """The data set, mounted for the program."""


class Growth(StrEnum):
    AT_ONCE = "atOnce"
    DOUBLING = "doubling"


class Elastic(Document):
    """How quickly the job follows its nodes."""

    model_config = ConfigDict(json_schema_extra=LEFT_OPEN)

    growth: Growth = Growth.AT_ONCE
    """How a job comes to its size. atOnce: all nodes that match get a worker. doubling: nodes.min do, then as
    many more once those are members, and so on: what is wrong with a program or image shows on few nodes."""
    join_delay_seconds: int = Field(0, ge=0, le=3600)
    """A node must have been Ready this long to get a worker."""
    leave_grace_seconds: int = Field(5, ge=0, le=3600)
    """A member that alone of its group is silent this long leaves the plan."""
    offline_grace_seconds: int = Field(86400, ge=0, le=31536000)
    """A group of which nobody is heard stays in the plan this long."""


class RuntimeRef(Document):
    """An EdgeTrainingRuntime."""

    name: ObjectName
    """Its name."""


# Of JobSpec and not of Program, whose default has nothing to run and would break its own rule.
SOMETHING_TO_RUN = rule(
    "has(self.runtimeRef) || has(self.program.source) || has(self.program.image)"
    " || (has(self.program.command) && self.program.command.size() > 0)",
    "nothing to run: name a ConfigMap that holds main.py in program.source.configMap, give program.command, "
    "an image that holds /program/main.py, or a runtime that does in runtimeRef",
    field="program",
    forbidden=True,
)


class JobSpec(Document):
    """What to train, on which nodes."""

    model_config = ConfigDict(
        json_schema_extra=checked(
            SOMETHING_TO_RUN,
            immutable("managedBy", "spec"),
            immutable("runtimeRef", "spec", optional=True),
            immutable("program", "spec"),
            immutable("overrides", "spec", optional=True),
            immutable("template", "spec"),
            immutable("data", "spec"),
            immutable("storage", "spec"),
            *(immutable(f"strategy.{field}", "spec", optional=True) for field in LIKE_THE_OTHERS),
            immutable("elastic", "spec"),
        )
    )

    suspend: bool = False
    """Stop all workers, once they have saved the same step; without storage.checkpoint nothing outlives
    them. Mutable."""
    managed_by: Annotated[
        str, StringConstraints(max_length=63, pattern=r"^[a-z0-9]([-a-z0-9.]*[a-z0-9])?/[A-Za-z0-9_./-]+$")
    ] = MANAGED_BY
    """Which controller looks after this job."""
    runtime_ref: RuntimeRef | None = None
    """What a platform team says for this job: an EdgeTrainingRuntime, which also says what the job may say
    otherwise. A job keeps it as it was when its first pod was made."""
    program: Program = Field(default_factory=Program)
    """What every worker runs."""
    nodes: Nodes = Field(default_factory=Nodes)
    """Which nodes get a worker, and how many."""
    scheduling: Scheduling = Field(default_factory=Scheduling)
    """How the job shares nodes with others."""
    overrides: list[Override] = Field(default_factory=list, max_length=16)
    """What differs on classes of nodes. All that match a node apply, in this order; a later one wins."""
    template: Template = Field(default_factory=Template)
    """Parts of the worker pods."""
    data: Data = Field(default_factory=Data)
    """Who trains on what."""
    storage: Storage = Field(default_factory=Storage)
    """Where checkpoints, model and data are kept."""
    strategy: Strategy = Field(default_factory=Strategy)
    """How the workers train together."""
    elastic: Elastic = Field(default_factory=Elastic)
    """How quickly the job follows its nodes."""
    run_policy: RunPolicy = Field(default_factory=RunPolicy)
    """When the job ends, and what is kept. Mutable."""
