"""What the operator makes for a job besides pods, and what all its children carry."""

from collections.abc import Mapping
from typing import Any

from edgetrain_operator.core.model import Job, Manifest
from edgetrain_operator.core.naming import (
    ca_config_map_name,
    claim_name,
    digest,
    identity_secret_name,
    network_policy_name,
    plan_config_map_name,
)
from edgetrain_operator.core.network_policy import NetworkPolicy
from edgetrain_operator.core.stored import DOCUMENT_KEY, StoredPlan
from edgetrain_protocol import names
from edgetrain_protocol.pods import Claim

WORKER = "worker"
LABEL_VALUE_MAX = 63


def owner(job: Job) -> dict[str, Any]:
    """Goes with the job. blockOwnerDeletion would need rights on the job's finalizers, and would make a
    foreground deletion wait for pods on dark nodes."""
    return {
        "apiVersion": f"{names.GROUP}/{names.VERSION}",
        "kind": names.KIND,
        "name": job.name,
        "uid": job.uid,
        "controller": True,
        "blockOwnerDeletion": False,
    }


def labels(job: Job, component: str) -> dict[str, str]:
    return {
        "app.kubernetes.io/managed-by": "edgetrain-operator",
        names.JOB_UID_LABEL: job.uid,
        names.JOB_NAME_LABEL: job.name[:LABEL_VALUE_MAX].rstrip("-."),
        names.COMPONENT_LABEL: component,
    }


def worker_labels(job: Job, node: str, attempt: int) -> dict[str, str]:
    return {
        **labels(job, WORKER),
        names.NODE_HASH_LABEL: digest(node),
        names.ATTEMPT_LABEL: str(attempt),
        names.AUTONOMY_LABEL: names.AUTONOMY_VALUE,
    }


def worker_selector(job_uid: str) -> str:
    return f"{names.JOB_UID_LABEL}={job_uid},{names.COMPONENT_LABEL}={WORKER}"


def identity_secret(job: Job, pod: str, uid: str, node: str, files: Mapping[str, str]) -> Manifest:
    """What the pod is known by: made after it, since its uid is in there, and gone with it."""
    manifest = _object(job, "v1", "Secret", identity_secret_name(pod), "identity")
    manifest["metadata"]["labels"][names.NODE_HASH_LABEL] = digest(node)
    manifest["metadata"]["ownerReferences"] = [
        {"apiVersion": "v1", "kind": "Pod", "name": pod, "uid": uid, "blockOwnerDeletion": False}
    ]
    return {**manifest, "type": "Opaque", "immutable": True, "stringData": dict(files)}


def ca_config_map(job: Job, bundle: str) -> Manifest:
    return {
        **_object(job, "v1", "ConfigMap", ca_config_map_name(job.name, job.uid), "ca"),
        "data": {"ca.crt": bundle},
    }


def plan_config_map(job: Job, stored: StoredPlan, resource_version: str | None) -> Manifest:
    """With `resource_version`, the write succeeds only over the version that was read.

    Raises:
        TooLarge: the document does not fit.
    """
    manifest = _object(job, "v1", "ConfigMap", plan_config_map_name(job.name, job.uid), "plan")
    if resource_version is not None:
        manifest["metadata"]["resourceVersion"] = resource_version
    return {**manifest, "data": {DOCUMENT_KEY: stored.to_document()}}


def has_network_policy(job: Job, policy: NetworkPolicy) -> bool:
    """On the nodes' own network it would have no effect."""
    return policy.enabled and not job.spec.template.spec.host_network


def network_policy(job: Job, policy: NetworkPolicy) -> Manifest | None:
    """Who may dial the workers of the job, where that is said."""
    if not has_network_policy(job, policy):
        return None
    spec = policy.spec(job.uid)
    name = network_policy_name(job.name, job.uid, spec)
    return {**_object(job, "networking.k8s.io/v1", "NetworkPolicy", name, "network"), "spec": spec}


def claim(job: Job, node: str, purpose: str, wish: Claim) -> Manifest:
    """Binding waits for the pod where the storage class says so; local storage must."""
    manifest = _object(
        job, "v1", "PersistentVolumeClaim", claim_name(job.name, job.uid, node, purpose), purpose
    )
    manifest["metadata"]["labels"][names.NODE_HASH_LABEL] = digest(node)
    manifest["metadata"]["annotations"] = {names.NODE_ANNOTATION: node}
    spec: dict[str, Any] = {
        "accessModes": ["ReadWriteOnce"],
        "resources": {"requests": {"storage": wish.size}},
    }
    if wish.storage_class_name is not None:
        spec["storageClassName"] = wish.storage_class_name
    return {**manifest, "spec": spec}


def _object(job: Job, api_version: str, kind: str, name: str, component: str) -> Manifest:
    metadata = {
        "name": name,
        "namespace": job.namespace,
        "labels": labels(job, component),
        "ownerReferences": [owner(job)],
    }
    return {"apiVersion": api_version, "kind": kind, "metadata": metadata}
