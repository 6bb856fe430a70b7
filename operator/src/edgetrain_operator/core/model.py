"""What a decision is made from: frozen, plain, nothing of the network."""

from collections.abc import Mapping
from dataclasses import dataclass, field
from functools import cached_property
from typing import Any, Literal

from edgetrain_operator.core.allowed import Allowed
from edgetrain_operator.core.feature_gates import FeatureGates
from edgetrain_operator.core.kueue.workload import KueueView
from edgetrain_operator.core.network_policy import NetworkPolicy
from edgetrain_operator.core.queues.grant import Grant
from edgetrain_operator.core.runtimes.use import RuntimeUse
from edgetrain_operator.core.stored import StoredPlan
from edgetrain_operator.fleet_state import NodeRate, StampedReport
from edgetrain_protocol.history import History
from edgetrain_protocol.job import JobSpec
from edgetrain_protocol.pods import EnvVar
from edgetrain_protocol.status import JobStatus

Manifest = dict[str, Any]
DISRUPTED = "DisruptionTarget"
"""Condition of a pod that is drained, preempted or evicted."""


@dataclass(frozen=True)
class Taint:
    key: str
    value: str
    effect: str


@dataclass(frozen=True)
class NodeView:
    """What placement needs of a node; a thousand of these are held, so nothing more."""

    name: str
    labels: Mapping[str, str] = field(default_factory=dict, hash=False)
    ready: bool = True
    ready_since: float = 0.0
    """Unix time of the last change of Ready, by the API server's clock."""
    unschedulable: bool = False
    deleting: bool = False
    taints: tuple[Taint, ...] = ()
    kubelet: str = "v1.36.3"
    memory: int = 0
    """Bytes that it has for pods; 0 where that is not known."""


@dataclass(frozen=True)
class ContainerTrouble:
    """Why a container does not run: the kubelet's word and its text."""

    container: str
    reason: str
    message: str
    image: str = ""
    """Of a container that is none of the operator's."""


@dataclass(frozen=True)
class ContainerEnd:
    """How a container, or the whole pod, ended last, where it was not well: the kubelet's word and text."""

    container: str
    reason: str
    exit_code: int = 0
    message: str = ""
    ordinal: int = 0
    """Which of the container's starts it was, from 0."""
    memory_limit: str = ""
    """As a quantity; empty where there is none."""


@dataclass(frozen=True)
class Trouble:
    reason: str
    message: str
    node: str = ""


@dataclass(frozen=True)
class PodView:
    """One of the job's own pods."""

    name: str
    uid: str
    node: str
    attempt: int
    phase: str = "Pending"
    deleting: bool = False
    ready: bool = False
    crashes: int = 0
    """Restarts of the trainer container, for whatever reason; 0 where its last end was none of the program's
    doing."""
    trouble: ContainerTrouble | None = None
    ends: tuple[ContainerEnd, ...] = ()
    idle: bool = False
    """Its trainer has ended and waits to be started again."""
    conditions: Mapping[str, str] = field(default_factory=dict, hash=False)
    """Type -> status."""
    lingers: bool = False
    """Its trainer has ended for good, and a container that somebody else has put into it runs on."""
    preparing: str = ""
    """The init container that its trainer waits for."""
    fleet_address: str = ""
    """host:port that it dials; what was the installation's when it was made."""
    created: float = 0.0

    @property
    def ended(self) -> bool:
        """By the kubelet's word; it will not run again."""
        return self.phase in ("Succeeded", "Failed")

    @property
    def taken_away(self) -> bool:
        """Ended from outside: drained, preempted, evicted, refused by its kubelet. A program that fails is
        started again in its pod, which never fails by it."""
        return self.phase == "Failed" or self.conditions.get(DISRUPTED) == "True"

    @property
    def living(self) -> bool:
        return not self.ended and not self.deleting


@dataclass(frozen=True)
class Job:
    name: str
    namespace: str
    uid: str
    generation: int
    spec: JobSpec
    """What it comes to: with what its runtime says, where it names one."""
    status: JobStatus
    created: float = 0.0
    """Unix time."""
    queue: str = ""
    """The LocalQueue of Kueue's in which it queues; empty where it does not."""
    queue_priority: str = ""
    """The WorkloadPriorityClass that it names."""
    runtime: RuntimeUse | None = None
    """The runtime that it names."""
    version: str = ""
    """Its resourceVersion as it was read, for the write that has to come right after it."""

    @property
    def written(self) -> JobSpec:
        """What it says by itself."""
        return self.runtime.written if self.runtime else self.spec


@dataclass(frozen=True)
class Defaults:
    """What the installation says about every worker."""

    trainer_image: str
    fleet_address: str
    """host:port that workers dial."""
    pull_policy: Literal["Always", "IfNotPresent", "Never"] = "IfNotPresent"
    allowed: Allowed = field(default_factory=Allowed)
    """What jobs may ask for."""
    network_policy: NetworkPolicy = field(default_factory=NetworkPolicy)
    trainer_resources: Mapping[str, Any] = field(default_factory=dict)
    """Of the trainer's container, where the job says nothing."""
    trainer_memory_percent: int = 80
    """Its memory limit, of what the node has for pods, where nothing is said of memory; 0 for none."""
    feature_gates: FeatureGates = field(default_factory=FeatureGates)
    trainer_env: tuple[EnvVar, ...] = ()
    """Of all containers of all workers, where the job does not say otherwise."""
    shared_queues: tuple[str, ...] = ()
    """Queues that are one for all namespaces."""
    kueue: bool = False
    """Whether jobs may queue by Kueue."""


@dataclass(frozen=True)
class Subject:
    """What may be refused by itself: something of the job's own, a node's worker, the deletion of a pod, what
    guards the job and can be done without, what it queues by."""

    kind: Literal["job", "node", "pod", "guard", "kueue"]
    name: str


PLAN, IDENTITY, CA, SERVER = (Subject("job", name) for name in ("plan", "identity", "ca", "server"))
WORKLOAD = Subject("kueue", "workload")
"""SERVER: nothing is wrong with the object, the API server has trouble."""
NETWORK_POLICY = Subject("guard", "network-policy")


@dataclass(frozen=True)
class Refusal:
    """Something that the job needs would not be had (Pod Security, quota, a bad field, its size)."""

    reason: str
    message: str
    retry_at: float
    times: int = 1
    """One after another."""


@dataclass(frozen=True)
class Observed:
    """All that a decision rests on."""

    job: Job
    now: float
    """Unix time, seconds."""
    since: float
    """When this operator began to hear reports: before, a missing report means unknown."""
    defaults: Defaults
    nodes: Mapping[str, NodeView] = field(default_factory=dict)
    pods: tuple[PodView, ...] = ()
    stored: StoredPlan = field(default_factory=StoredPlan)
    reports: Mapping[str, StampedReport] = field(default_factory=dict)
    """By worker."""
    rates: Mapping[str, NodeRate] = field(default_factory=dict)
    """By worker."""
    reachable: Mapping[str, bool] = field(default_factory=dict)
    """Whether others reach a worker; of those with whom anybody has tried to measure."""
    heard_revision: int = 0
    """The highest revision that any worker said it holds."""
    furthest: Mapping[str, tuple[History, int]] = field(default_factory=dict)
    """By group: the newest history that its workers spoke of, and the furthest step in that."""
    ca_bundle: str = ""
    refusals: Mapping[Subject, Refusal] = field(default_factory=dict)
    """What was refused when it was last tried."""
    program_missing: str = ""
    """What is wrong with the ConfigMap that holds the program; looked at while no worker runs."""
    strangers: Mapping[str, NodeView] = field(default_factory=dict)
    """Nodes that had a worker of the job and are no edge nodes (any more)."""
    grant: Grant | None = None
    """What its queue leaves to it; None where it is in none."""
    taken: frozenset[str] = frozenset()
    """Names of ours that the API server says belong to somebody else."""
    kueue: KueueView = field(default_factory=KueueView)
    """What was seen of Kueue."""

    def pods_on(self, node: str) -> tuple[PodView, ...]:
        return self._by_node.get(node, ())

    def barred_until(self, *subjects: Subject) -> float | None:
        """When the last of these may be tried again; None where all may now."""
        due = [self.refusals[subject].retry_at for subject in subjects if subject in self.refusals]
        return max((at for at in due if at > self.now), default=None)

    @cached_property
    def _by_node(self) -> Mapping[str, tuple[PodView, ...]]:
        found: dict[str, tuple[PodView, ...]] = {}
        for pod in self.pods:
            found[pod.node] = (*found.get(pod.node, ()), pod)
        return found
