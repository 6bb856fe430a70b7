"""The Workload by which a job queues for quota: how many workers it asks for, and what one of them needs.

What is asked for is the job's size at the time: a worker on every node that it matches, up to nodes.max, and
no fewer than nodes.min. Nodes that are away count, since they may be back before their turn has come.
"""

from collections.abc import Collection, Mapping
from typing import Any

from edgetrain_operator.core.children import labels, owner
from edgetrain_operator.core.containers import PROFILER_RESOURCES, image_of, template_of
from edgetrain_operator.core.kueue.workload import (
    API_VERSION,
    JOB_UID_LABEL,
    PRIORITY_LABEL,
    QUEUE_LABEL,
    WORKERS,
    PriorityClass,
    workload_name,
)
from edgetrain_operator.core.model import Defaults, Job, Manifest, NodeView, Observed
from edgetrain_operator.core.overrides import overridden
from edgetrain_operator.core.placement import can_run, dark_tolerations, matches
from edgetrain_operator.core.quantities import largest
from edgetrain_protocol import names


def wanted_spec(seen: Observed) -> Manifest:
    """The Workload's spec, but for what says its priority."""
    return {"queueName": seen.job.queue, "podSets": [_pod_set(seen)]}


def priority_of(seen: Observed) -> Manifest:
    """The part of the spec that says its priority."""
    by = priority_class(seen.job)
    return {"priority": seen.kueue.priority, **({"priorityClassRef": by.reference} if by else {})}


def priority_class(job: Job) -> PriorityClass | None:
    """By the job's label, else that of its pods."""
    if job.queue_priority:
        return PriorityClass("WorkloadPriorityClass", job.queue_priority)
    of_pods = job.spec.template.spec.priority_class_name
    return PriorityClass("PriorityClass", of_pods) if of_pods else None


def workload(seen: Observed) -> Manifest:
    job = seen.job
    kept = {QUEUE_LABEL: job.queue, PRIORITY_LABEL: job.queue_priority, JOB_UID_LABEL: job.uid}
    metadata = {
        "name": workload_name(job.name, job.uid),
        "namespace": job.namespace,
        "labels": {**labels(job, "workload"), **{key: value for key, value in kept.items() if value}},
        "ownerReferences": [owner(job)],
    }
    spec = {**wanted_spec(seen), **priority_of(seen)}
    return {"apiVersion": API_VERSION, "kind": "Workload", "metadata": metadata, "spec": spec}


def _pod_set(seen: Observed) -> Manifest:
    nodes, spec = _candidates(seen), seen.job.spec
    count = max(min(len(nodes), spec.nodes.max), spec.nodes.min)
    pod = _pod(seen.job, nodes, seen.defaults)
    return {"name": WORKERS, "count": count, "minCount": spec.nodes.min, "template": {"spec": pod}}


def _candidates(seen: Observed) -> list[NodeView]:
    out = {record.node for record in seen.stored.workers.values() if record.left_out}
    spec = seen.job.spec
    return [n for n in seen.nodes.values() if n.name not in out and matches(n, spec) and can_run(n)]


def _pod(job: Job, nodes: Collection[NodeView], defaults: Defaults) -> Manifest:
    """What Kueue looks at of a worker's pod: what it needs and where it may go."""
    wish, image = job.spec.template.spec, image_of(job, None, defaults)
    profiler = template_of(job, "profiler").resources or PROFILER_RESOURCES
    own = [_container(c.name, c.image or image, c.resources, c.restart_policy) for c in wish.init_containers]
    optional = {"priorityClassName": wish.priority_class_name, "runtimeClassName": wish.runtime_class_name}
    return {
        "restartPolicy": "OnFailure",
        "affinity": {"nodeAffinity": _affinity(job)},
        "tolerations": [*dark_tolerations(), *wish.tolerations],
        "initContainers": [_container(names.PROFILER_CONTAINER, image, profiler, "Always"), *own],
        "containers": [_container(names.TRAINER_CONTAINER, image, _trainer(job, nodes, defaults))],
        **{key: value for key, value in optional.items() if value},
    }


def _container(
    name: str, image: str, resources: Mapping[str, Any] | None, restart_policy: str | None = None
) -> Manifest:
    fields = {"image": image, "resources": resources, "restartPolicy": restart_policy}
    return {"name": name, **{key: value for key, value in fields.items() if value}}


def _trainer(job: Job, nodes: Collection[NodeView], defaults: Defaults) -> dict[str, Any]:
    """All pods of one podSet count the same: where classes of nodes differ, as the largest."""
    usual = template_of(job, "trainer").resources or defaults.trainer_resources
    if not any(override.resources for override in job.spec.overrides):
        return dict(usual)
    return largest([overridden(job.spec, node).resources or usual for node in nodes] or [usual])


def _affinity(job: Job) -> Manifest:
    selector = job.spec.nodes.selector
    exact = [{"key": k, "operator": "In", "values": [v]} for k, v in sorted(selector.match_labels.items())]
    further = [requirement.to_wire() for requirement in selector.match_expressions]
    edge = {"key": names.EDGE_NODE_LABEL, "operator": "Exists"}
    term = {"matchExpressions": [edge, *exact, *further]}
    return {"requiredDuringSchedulingIgnoredDuringExecution": {"nodeSelectorTerms": [term]}}
