"""Parts of a job that follow the Kubernetes API's own shapes: selectors, environment, volumes, stores."""

from enum import StrEnum
from typing import Annotated, Any

from pydantic import AfterValidator, BeforeValidator, ConfigDict, Field, StringConstraints, WithJsonSchema

from edgetrain_protocol import shapes
from edgetrain_protocol.base import Document, LongText, ShortText
from edgetrain_protocol.rules import checked, keyed, one_of, rule

NAME_PATTERN = r"^[a-z0-9]([-a-z0-9.]*[a-z0-9])?$"
LABEL_PATTERN = r"^([a-z0-9]([-a-z0-9.]*[a-z0-9])?/)?[A-Za-z0-9]([-A-Za-z0-9_.]*[A-Za-z0-9])?$"
QUANTITY_PATTERN = r"^[0-9]+(\.[0-9]+)?(Ki|Mi|Gi|Ti|k|M|G|T)?$"

ObjectName = Annotated[str, StringConstraints(min_length=1, max_length=253, pattern=NAME_PATTERN)]
LabelKey = Annotated[str, StringConstraints(min_length=1, max_length=317, pattern=LABEL_PATTERN)]
LabelValue = Annotated[
    str, StringConstraints(max_length=63, pattern=r"^([A-Za-z0-9]([-A-Za-z0-9_.]*[A-Za-z0-9])?)?$")
]
FreeForm = dict[str, Any]
"""A part of the Kubernetes API passed through as it is; its schema is given beside it."""


def _of_shape(shape: shapes.Shape) -> AfterValidator:
    def check(value: FreeForm) -> FreeForm:
        if wrong := next(shapes.misfits(value, shape), ""):
            raise ValueError(wrong)
        return value

    return AfterValidator(check)


VolumeSource = Annotated[FreeForm, _of_shape(shapes.VOLUME_SOURCE), WithJsonSchema(shapes.VOLUME_SOURCE)]
Volume = Annotated[FreeForm, _of_shape(shapes.VOLUME), WithJsonSchema(shapes.VOLUME)]
VolumeMount = Annotated[FreeForm, _of_shape(shapes.VOLUME_MOUNT), WithJsonSchema(shapes.VOLUME_MOUNT)]
ValueFrom = Annotated[FreeForm, _of_shape(shapes.VALUE_FROM), WithJsonSchema(shapes.VALUE_FROM)]
Resources = Annotated[FreeForm, _of_shape(shapes.RESOURCES), WithJsonSchema(shapes.RESOURCES)]
Toleration = Annotated[FreeForm, _of_shape(shapes.TOLERATION), WithJsonSchema(shapes.TOLERATION)]
SecretReference = Annotated[
    FreeForm, _of_shape(shapes.SECRET_REFERENCE), WithJsonSchema(shapes.SECRET_REFERENCE)
]

Quantity = Annotated[
    str,
    BeforeValidator(lambda value: str(value) if isinstance(value, int) else value),
    StringConstraints(pattern=QUANTITY_PATTERN, max_length=32),
    WithJsonSchema({"x-kubernetes-int-or-string": True, "pattern": QUANTITY_PATTERN, "maxLength": 32}),
]
"""Bytes: a number, or a number with Ki, Mi, Gi, Ti, k, M, G or T."""


class Operator(StrEnum):
    IN = "In"
    NOT_IN = "NotIn"
    EXISTS = "Exists"
    DOES_NOT_EXIST = "DoesNotExist"


class LabelRequirement(Document):
    """One condition on one label."""

    model_config = ConfigDict(
        json_schema_extra=checked(
            rule(
                "!(self.operator in ['In', 'NotIn']) || (has(self.values) && self.values.size() > 0)",
                "operators In and NotIn need values: list at least one, or use Exists or DoesNotExist",
            ),
            rule(
                "self.operator in ['In', 'NotIn'] || !has(self.values) || self.values.size() == 0",
                "operators Exists and DoesNotExist take no values: remove them, or use In or NotIn",
            ),
        )
    )

    key: LabelKey
    """The label's key."""
    operator: Operator
    """How the label's value relates to `values`."""
    values: list[LabelValue] = Field(default_factory=list, max_length=64)
    """For In and NotIn alone."""


class LabelSelector(Document):
    """As in the Kubernetes API: all conditions together. Empty: every node."""

    match_labels: dict[str, LabelValue] = Field(default_factory=dict, max_length=32)
    """Labels that a node must have, with these values."""
    match_expressions: list[LabelRequirement] = Field(default_factory=list, max_length=32)
    """Further conditions."""


class EnvVar(Document):
    """One environment variable, as in a pod."""

    model_config = ConfigDict(
        json_schema_extra=checked(
            rule(
                "!self.name.startsWith('EDGETRAIN_')",
                "names that begin with EDGETRAIN_ are set by the operator: choose another name",
                field="name",
            ),
            rule("!has(self.value) || !has(self.valueFrom)", "give value or valueFrom, not both"),
        )
    )

    name: Annotated[str, StringConstraints(pattern=r"^[A-Za-z_][A-Za-z0-9_]*$", max_length=128)]
    """The variable's name."""
    value: LongText | None = None
    """Its value."""
    value_from: ValueFrom | None = None
    """Where its value comes from, as in a pod: a Secret's key, a ConfigMap's key, a field of the pod."""


class Override(Document):
    """What differs on a class of nodes. Of several that match a node, a later one wins over an earlier."""

    model_config = ConfigDict(
        json_schema_extra=checked(
            rule(
                "has(self.image) || has(self.resources) || (has(self.env) && self.env.size() > 0)"
                " || (has(self.tolerations) && self.tolerations.size() > 0)",
                "an override that changes nothing: give image, env, resources or tolerations, or remove it",
            ),
        )
    )

    selector: LabelSelector
    """Nodes that it applies to, among those that the job has; such as kubernetes.io/arch: arm64."""
    image: ShortText | None = None
    """In place of program.image. A manifest list needs no override: each node takes its own of it."""
    env: list[EnvVar] = Field(default_factory=list, max_length=64, json_schema_extra=keyed("name"))
    """Added to program.env; a name given in both takes its value from here."""
    resources: Resources | None = None
    """Requests and limits of the trainer container, in place of the template's, as a whole."""
    tolerations: list[Toleration] = Field(default_factory=list, max_length=16)
    """Added to the pod's tolerations."""


class Claim(Document):
    """A PersistentVolumeClaim made for each node of the job; it outlives the pod, and goes with the job."""

    storage_class_name: ObjectName | None = None
    """The storage class; the cluster's default where unset."""
    size: Quantity = "1Gi"
    """Bytes asked for, such as 1Gi."""


class Store(Document):
    """Where something is kept."""

    model_config = ConfigDict(
        json_schema_extra=checked(
            one_of(("volume", "claim"), "a store")[0],
            one_of(("volume", "claim", "uri"), "a store")[1],
            rule(
                "has(self.uri) || !has(self.secret)",
                "secret is of the store that uri names: give uri, or remove it",
            ),
        )
    )

    volume: VolumeSource | None = None
    """A volume source, as in a pod."""
    claim: Claim | None = None
    """A claim for each node of the job: it outlives the pods, and goes with the job."""
    uri: Annotated[str, StringConstraints(max_length=1024, pattern=r"^(file|s3)://[^\s?]+$")] | None = None
    """A directory in a remote store, by s3:// or file://, which holds it as well. What is on the node is on
    the pod's own disk where neither volume nor claim is given."""
    secret: ObjectName | None = None
    """A Secret with that store's keys, as in storage.data."""
