"""As whom a worker's containers run, under core/v1's names. What the operator sets otherwise passes Pod
Security `restricted`; what a job may ask for beyond that is the chart's to say (`jobs.allowed`)."""

from typing import Annotated, Literal

from pydantic import ConfigDict, Field, StringConstraints

from edgetrain_protocol.base import Document, ShortText
from edgetrain_protocol.rules import UNIQUE, checked, rule

Id = Annotated[int, Field(ge=0, le=2**31 - 1)]
Capability = Annotated[str, StringConstraints(pattern=r"^[A-Z][A-Z0-9_]*$", max_length=64)]


class SeccompProfile(Document):
    """Which system calls are let through."""

    model_config = ConfigDict(
        json_schema_extra=checked(
            rule(
                "(self.type == 'Localhost') == has(self.localhostProfile)",
                "seccompProfile.localhostProfile is for type Localhost, which needs it: give both or neither",
            )
        )
    )

    type: Literal["RuntimeDefault", "Localhost", "Unconfined"]
    """Which kind of profile."""
    localhost_profile: ShortText | None = None
    """A file below the kubelet's seccomp directory, for type Localhost."""


class Capabilities(Document):
    """Rights of root's that a process may have without being root."""

    add: list[Capability] = Field(default_factory=list, max_length=16, json_schema_extra=UNIQUE)
    """Those that it has: all are dropped first."""
    drop: list[Capability] = Field(default_factory=list, max_length=16, json_schema_extra=UNIQUE)
    """ALL are dropped, whether named or not."""


class SecurityContext(Document):
    """Of one container; what it says goes before the pod's."""

    run_as_user: Id | None = None
    """The user that it runs as."""
    run_as_group: Id | None = None
    """That user's first group."""
    capabilities: Capabilities | None = None
    """As in a pod."""
    read_only_root_filesystem: bool | None = None
    """Whether only mounted volumes can be written; true where unset."""
    seccomp_profile: SeccompProfile | None = None
    """As in a pod."""


class PodSecurityContext(Document):
    """Of all containers and of the volumes."""

    run_as_user: Id | None = None
    """The user that all containers run as; 65532 where unset. That of who owns a hostPath or NFS directory
    may write there."""
    run_as_group: Id | None = None
    """That user's first group; 65532 where unset."""
    fs_group: Id | None = None
    """A group that all containers are in, and to which the kubelet gives volumes that are claims or the
    pod's own; 65532 where unset. hostPath and NFS stay as they are."""
    fs_group_change_policy: Literal["OnRootMismatch", "Always"] | None = None
    """OnRootMismatch: a large volume that has the group already is not gone through at each start."""
    supplemental_groups: list[Id] = Field(default_factory=list, max_length=16, json_schema_extra=UNIQUE)
    """Further groups of all containers, such as the one that may write a hostPath or NFS directory."""
    seccomp_profile: SeccompProfile | None = None
    """RuntimeDefault where unset."""
