"""spec of an EdgeTrainingRuntime: what a platform team says for many jobs, and what these may change."""

from collections.abc import Iterator
from typing import Annotated, get_args

from pydantic import AfterValidator, ConfigDict, Field, WithJsonSchema
from pydantic.fields import FieldInfo

from edgetrain_protocol.base import Document
from edgetrain_protocol.job import Data, Elastic, Program, Storage
from edgetrain_protocol.names import PROFILER_CONTAINER, TRAINER_CONTAINER
from edgetrain_protocol.pods import LabelSelector, ObjectName, Override
from edgetrain_protocol.rules import UNIQUE, checked, rule
from edgetrain_protocol.run_policy import RunPolicy
from edgetrain_protocol.strategy_spec import Strategy
from edgetrain_protocol.template import Template, TemplateContainer

ANYTHING = "*"
JOBS_OWN = (
    "program.command",
    "program.args",
    "program.env",
    "program.source",
    "nodes",
    "data",
    "storage.data",
)
"""What is trained, on which data, where: a job says these, unless its runtime does."""


class RuntimeNodes(Document):
    """For which nodes the runtime is."""

    selector: LabelSelector = Field(default_factory=LabelSelector)
    """Conditions on their labels; those of the job's come on top."""


class RuntimeParts(Document):
    """What a runtime may say of jobs."""

    program: Program = Field(default_factory=Program)
    """What every worker runs."""
    nodes: RuntimeNodes = Field(default_factory=RuntimeNodes)
    """For which nodes it is."""
    overrides: list[Override] = Field(default_factory=list, max_length=16)
    """What differs on classes of nodes. Those of the job's come after, and win."""
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
    """When the job ends, and what is kept."""


def section(field: FieldInfo) -> type[Document] | None:
    """The model of a field that is never unset: it is not said as a whole, but field by field."""
    kind = field.annotation
    return kind if isinstance(kind, type) and issubclass(kind, Document) else None


def below(path: str, name: str) -> str:
    return f"{path}.{name}" if path else name


def paths(model: type[Document], path: str = "") -> Iterator[str]:
    """Of each field of the model and below, but not into what is said as a whole."""
    for field in model.model_fields.values():
        here = below(path, field.alias or "")
        yield here
        if part := section(field):
            yield from paths(part, here)
        elif get_args(field.annotation) == (TemplateContainer,):
            for container in (TRAINER_CONTAINER, PROFILER_CONTAINER):
                of_one = below(here, container)
                yield of_one
                yield from (p for p in paths(TemplateContainer, of_one) if p != below(of_one, "name"))


def covers(whole: str, path: str) -> bool:
    """Whether this entry of `mayChange` stands for the field, or for what is within it."""
    return whole == ANYTHING or f"{path}.".startswith(f"{whole}.")


CHANGEABLE = (ANYTHING, *paths(RuntimeParts))


def _changeable(path: str) -> str:
    if path not in CHANGEABLE:
        raise ValueError(f"{path} is no field that a runtime says: see docs/job.md")
    return path


Changeable = Annotated[
    str, AfterValidator(_changeable), WithJsonSchema({"type": "string", "enum": list(CHANGEABLE)})
]


class RuntimeSpec(RuntimeParts):
    """What jobs that name this runtime come to, and what they may change."""

    model_config = ConfigDict(
        json_schema_extra=checked(
            rule(
                "!has(self.mayChange) || self.mayChange.size() < 2 || !('*' in self.mayChange)",
                "mayChange has * beside other fields: remove these, or the *",
                field="mayChange",
                forbidden=True,
            )
        )
    )

    namespaces: list[ObjectName] = Field(default_factory=list, max_length=256, json_schema_extra=UNIQUE)
    """Namespaces whose jobs may name it; all where unset."""
    may_change: list[Changeable] = Field(
        default_factory=list, max_length=len(CHANGEABLE), json_schema_extra=UNIQUE
    )
    """Fields in which a job's word counts, each with all below it; * for all. Beside them, a job says what is
    trained, on which data, where (program but its image, nodes, data, storage.data), as far as the runtime
    does not. Where it says anything else, it gets no worker, and says why."""
