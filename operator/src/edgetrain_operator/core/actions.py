"""What is to be done, as a decision says it. Plain data: carried out by the runtime."""

from dataclasses import dataclass, field
from typing import Literal

from edgetrain_operator.core.model import WORKLOAD, Manifest, Subject
from edgetrain_operator.core.stored import StoredPlan
from edgetrain_protocol.status import JobStatus


@dataclass(frozen=True)
class Create:
    """POST; an object of this name that is there already is taken for done."""

    manifest: Manifest
    reason: str
    subject: Subject
    again: bool = False
    """It was made before and is there for all that is known: a refusal (of a quota that it fills itself) is
    no hindrance."""

    @property
    def kind(self) -> str:
        return str(self.manifest["kind"])


@dataclass(frozen=True)
class DeletePod:
    name: str
    uid: str
    reason: str

    @property
    def subject(self) -> Subject:
        return Subject("pod", self.name)


@dataclass(frozen=True)
class MarkOver:
    """The fleet API answers 410 to this pod from now on."""

    pod_uid: str
    reason: str


@dataclass(frozen=True)
class Forget:
    """The job is over: the fleet API drops its reports and answers 410 to all its pods."""

    reason: str


@dataclass(frozen=True)
class DeleteJob:
    reason: str

    @property
    def subject(self) -> Subject:
        return Subject("job", "end")


@dataclass(frozen=True)
class PatchWorkload:
    """A merge patch of the job's Workload as it was seen: in vain where somebody has written since."""

    name: str
    uid: str
    version: str
    changes: Manifest = field(hash=False)
    """Of spec, or of status where `of_status`."""
    of_status: bool
    reason: str

    @property
    def subject(self) -> Subject:
        return WORKLOAD


@dataclass(frozen=True)
class DeleteWorkload:
    name: str
    uid: str
    reason: str

    @property
    def subject(self) -> Subject:
        return WORKLOAD


Written = Create | DeletePod | DeleteJob | PatchWorkload | DeleteWorkload
"""What the API server is asked for, and may refuse."""
Action = Written | MarkOver | Forget


@dataclass(frozen=True)
class Event:
    type: Literal["Normal", "Warning"]
    reason: str
    message: str


@dataclass(frozen=True)
class Decision:
    """What to do, in this order: write `stored` where it changed, serve its plan, act, write status, tell."""

    stored: StoredPlan
    actions: tuple[Action, ...]
    status: JobStatus
    events: tuple[Event, ...]
    """Of `stored`: true once it is written."""
    status_events: tuple[Event, ...]
    """Of `status`: true once it is written."""
    requeue_at: float | None
    """Unix time at which the same observations would lead to another decision."""
    reason: str
