"""A worker's pod. Passes Pod Security `restricted` unless the job asks for what that forbids."""

from typing import Any

from edgetrain_operator.core import security, volumes
from edgetrain_operator.core.children import has_network_policy, owner, worker_labels
from edgetrain_operator.core.containers import init_container, profiler, trainer
from edgetrain_operator.core.grace import grace_seconds
from edgetrain_operator.core.model import Defaults, Job, Manifest, NodeView
from edgetrain_operator.core.naming import pod_name
from edgetrain_operator.core.placement import tolerations
from edgetrain_protocol import names


def worker_pod(job: Job, node: NodeView, attempt: int, defaults: Defaults) -> Manifest:
    """The manifest of the worker on this node; the API server and the scheduler do the rest."""
    template = job.spec.template
    guarded = names.NETWORK_POLICY_LABELS if has_network_policy(job, defaults.network_policy) else {}
    metadata = {
        "name": pod_name(job.name, job.uid, node.name, attempt),
        "namespace": job.namespace,
        "labels": {**template.metadata.labels, **worker_labels(job, node.name, attempt), **guarded},
        "annotations": {**template.metadata.annotations, names.NODE_ANNOTATION: node.name},
        "ownerReferences": [owner(job)],
    }
    return {
        "apiVersion": "v1",
        "kind": "Pod",
        "metadata": metadata,
        "spec": _spec(job, node, attempt, defaults),
    }


def _spec(job: Job, node: NodeView, attempt: int, defaults: Defaults) -> dict[str, Any]:
    wish = job.spec.template.spec
    optional = {
        "imagePullSecrets": wish.image_pull_secrets,
        "priorityClassName": wish.priority_class_name,
        "runtimeClassName": wish.runtime_class_name,
        "hostNetwork": wish.host_network,
    }
    return {
        "restartPolicy": "OnFailure",
        "automountServiceAccountToken": False,
        "enableServiceLinks": False,
        # The node's own resolver: an edge node may reach no cluster DNS, and need none.
        "dnsPolicy": "Default",
        "terminationGracePeriodSeconds": grace_seconds(job.spec),
        "affinity": {"nodeAffinity": _only_on(node.name)},
        "tolerations": tolerations(job.spec, node),
        "securityContext": security.of_pod(wish.security_context),
        # The profiler first: the node is heard of while the job's own containers fetch what they fetch.
        "initContainers": [
            profiler(job, node, attempt, defaults),
            *(init_container(own, job, node, attempt, defaults) for own in wish.init_containers),
        ],
        "containers": [trainer(job, node, attempt, defaults)],
        "volumes": volumes.volumes(job, node.name, attempt),
        **{key: value for key, value in optional.items() if value},
    }


def _only_on(node: str) -> dict[str, Any]:
    """By the scheduler, not by nodeName: that would pass over cordons and taints."""
    term = {"matchFields": [{"key": "metadata.name", "operator": "In", "values": [node]}]}
    return {"requiredDuringSchedulingIgnoredDuringExecution": {"nodeSelectorTerms": [term]}}
