"""spec.template of a job: what is added to its workers' pods, under core/v1's names."""

from typing import Annotated, Literal

from pydantic import ConfigDict, Field, StringConstraints, WithJsonSchema

from edgetrain_protocol.base import Document, LongText, ShortText
from edgetrain_protocol.names import GROUP, OWN_VOLUMES, PROFILER_CONTAINER, TRAINER_CONTAINER
from edgetrain_protocol.pods import (
    EnvVar,
    LabelValue,
    ObjectName,
    Resources,
    SecretReference,
    Toleration,
    Volume,
    VolumeMount,
)
from edgetrain_protocol.rules import LEFT_OPEN, checked, keyed, rule
from edgetrain_protocol.security import PodSecurityContext, SecurityContext

RestartPolicy = Annotated[Literal["Always"], WithJsonSchema({"type": "string", "enum": ["Always"]})]
ContainerName = Annotated[str, StringConstraints(pattern=r"^[a-z0-9]([-a-z0-9]*[a-z0-9])?$", max_length=63)]

_OUR_LABEL = rule(
    f"self.all(key, !key.startsWith('{GROUP}/'))",
    f"keys that begin with {GROUP}/ are set by the operator: choose another key",
)
_OUR_VOLUME = rule(
    f"self.all(volume, !(volume.name in {list(OWN_VOLUMES)}))",
    f"volumes {', '.join(OWN_VOLUMES)} are the operator's, and can be mounted: choose another name",
)


class TemplateMetadata(Document):
    """Labels and annotations of the worker pods."""

    labels: dict[str, LabelValue] = Field(
        default_factory=dict, max_length=32, json_schema_extra=checked(_OUR_LABEL)
    )
    """Labels added to the pods."""
    annotations: dict[str, LongText] = Field(
        default_factory=dict, max_length=32, json_schema_extra=checked(_OUR_LABEL)
    )
    """Annotations added to the pods."""


class TemplateContainer(Document):
    """What is added to one of our two containers."""

    name: Literal["trainer", "profiler"]
    """Which of the two."""
    env: list[EnvVar] = Field(default_factory=list, max_length=64, json_schema_extra=keyed("name"))
    """Environment added to it."""
    resources: Resources | None = None
    """Its requests and limits. Where nothing is said of the trainer's memory, a part of its node's is the
    limit. Devices, such as nvidia.com/gpu, are limits."""
    volume_mounts: list[VolumeMount] = Field(default_factory=list, max_length=16)
    """Mounts of `volumes`, as in a pod. One at /dev/shm takes the place of the operator's."""
    security_context: SecurityContext | None = None
    """As whom it runs, where the pod's securityContext does not do."""


class InitContainer(Document):
    """One container that runs before the trainer. It has the job's volumes where the trainer has them, but
    not what the pod is known by."""

    model_config = ConfigDict(
        json_schema_extra=checked(
            rule(
                f"!(self.name in ['{TRAINER_CONTAINER}', '{PROFILER_CONTAINER}'])",
                f"{TRAINER_CONTAINER} and {PROFILER_CONTAINER} are the operator's containers: choose another "
                "name, or say it in template.spec.containers",
                field="name",
            )
        )
    )

    name: ContainerName
    """Its name."""
    image: ShortText | None = None
    """Its image; the trainer's where unset."""
    command: list[LongText] = Field(default_factory=list, max_length=64)
    """What it runs; as its image says where unset."""
    args: list[LongText] = Field(default_factory=list, max_length=128)
    """Arguments added to the command."""
    env: list[EnvVar] = Field(default_factory=list, max_length=64, json_schema_extra=keyed("name"))
    """Its environment, beside the operator's EDGETRAIN_ variables."""
    resources: Resources | None = None
    """Its requests and limits."""
    volume_mounts: list[VolumeMount] = Field(default_factory=list, max_length=16)
    """Mounts of `volumes`, as in a pod."""
    security_context: SecurityContext | None = None
    """As whom it runs, where the pod's securityContext does not do."""
    restart_policy: RestartPolicy | None = None
    """Always: a native sidecar, which runs on beside the trainer and ends with it. Where unset, the trainer
    starts once it has ended well."""


class TemplateSpec(Document):
    """Parts of the pods' spec."""

    model_config = ConfigDict(json_schema_extra=LEFT_OPEN)

    containers: list[TemplateContainer] = Field(
        default_factory=list, max_length=2, json_schema_extra=keyed("name")
    )
    """What is added to our containers; further ones are native sidecars, in initContainers."""
    init_containers: list[InitContainer] = Field(
        default_factory=list, max_length=8, json_schema_extra=keyed("name")
    )
    """Run one after another, in this order, after the profiler has started and before the trainer does."""
    volumes: list[Volume] = Field(default_factory=list, max_length=16, json_schema_extra=checked(_OUR_VOLUME))
    """Volumes added to the pod."""
    security_context: PodSecurityContext | None = None
    """As whom the pod runs, and whose its volumes are."""
    termination_grace_period_seconds: int | None = Field(None, ge=1, le=3600)
    """Seconds that a pod has to end: its program is told at once, and has all but the last ten of them (of
    less than 20: half) for a last checkpoint. Where unset, 120 with storage.checkpoint and 30 without. A pod
    that is done sooner ends sooner."""
    tolerations: list[Toleration] = Field(default_factory=list, max_length=16)
    """Tolerations added to the pod."""
    image_pull_secrets: list[SecretReference] = Field(default_factory=list, max_length=8)
    """Secrets for pulling the images, as in a pod."""
    priority_class_name: ObjectName | None = None
    """The pods' priority class."""
    runtime_class_name: ObjectName | None = None
    """The pods' runtime class."""
    host_network: bool = False
    """Use the node's own network; the namespace must allow it. Each pod has six ports of its own then, from
    20000 to 29999; one whose ports another pod on its node has is made anew with others."""


class Template(Document):
    """Parts of the worker's pod; its containers `trainer` and `profiler` are ours."""

    metadata: TemplateMetadata = Field(default_factory=TemplateMetadata)
    """Labels and annotations."""
    spec: TemplateSpec = Field(default_factory=TemplateSpec)
    """The rest."""
