"""What makes a real API server refuse things in one namespace; named after it, to be taken away again."""

import json
import time
from typing import Any

from tests.support.apiserver import ApiServer
from tests.support.objects import patch_status

Json = dict[str, Any]
PLAIN_POD: Json = {
    "apiVersion": "v1",
    "kind": "Pod",
    "spec": {
        "securityContext": {
            "runAsNonRoot": True,
            "runAsUser": 1,
            "seccompProfile": {"type": "RuntimeDefault"},
        },
        "containers": [
            {
                "name": "c",
                "image": "i",
                "securityContext": {"allowPrivilegeEscalation": False, "capabilities": {"drop": ["ALL"]}},
            }
        ],
    },
}


def refuse_nothing(api: ApiServer, namespace: str) -> None:
    """Take away what the functions below have made, apart from what goes with the namespace."""
    for kind in ("validatingwebhookconfiguration", "validatingadmissionpolicy"):
        api.kubectl("delete", kind, namespace, "--ignore-not-found")
    api.kubectl("delete", "validatingadmissionpolicybinding", namespace, "--ignore-not-found")


def of_namespace(namespace: str) -> Json:
    return {"matchLabels": {"kubernetes.io/metadata.name": namespace}}


def webhook(api: ApiServer, namespace: str, port: int = 9, seconds: int = 1, **rule: list[str]) -> None:
    """A webhook for what `rule` says, at a port where nobody answers."""
    rules = {"apiGroups": [""], "apiVersions": ["v1"], "operations": ["CREATE"], "resources": ["pods"]} | rule
    hook = {
        "name": "policy.example.com",
        "failurePolicy": "Fail",
        "timeoutSeconds": seconds,
        "sideEffects": "None",
        "admissionReviewVersions": ["v1"],
        "namespaceSelector": of_namespace(namespace),
        "rules": [rules],
        "clientConfig": {"url": f"https://127.0.0.1:{port}/validate"},
    }
    kind = {"apiVersion": "admissionregistration.k8s.io/v1", "kind": "ValidatingWebhookConfiguration"}
    api.apply({**kind, "metadata": {"name": namespace}, "webhooks": [hook]})


def policy(api: ApiServer, namespace: str, reason: str) -> None:
    """Deny pods with the code that belongs to `reason`."""
    kind = {"apiVersion": "admissionregistration.k8s.io/v1"}
    rule = {"apiGroups": [""], "apiVersions": ["v1"], "operations": ["CREATE"], "resources": ["pods"]}
    says = {"expression": "false", "message": "every pod needs a label team", "reason": reason}
    match = {"namespaceSelector": of_namespace(namespace), "resourceRules": [rule]}
    spec = {"failurePolicy": "Fail", "matchConstraints": match, "validations": [says]}
    bound = {"policyName": namespace, "validationActions": ["Deny"]}
    api.apply(
        {**kind, "kind": "ValidatingAdmissionPolicy", "metadata": {"name": namespace}, "spec": spec},
        {**kind, "kind": "ValidatingAdmissionPolicyBinding", "metadata": {"name": namespace}, "spec": bound},
    )


def wait_for_pods(api: ApiServer, namespace: str, refused: bool, **labels: str) -> None:
    """Until what was just configured holds: the API server's own watches take a moment."""
    pod = {**PLAIN_POD, "metadata": {"name": "probe", "namespace": namespace, "labels": labels}}
    limit = time.monotonic() + 60
    while time.monotonic() < limit:
        done = api.kubectl("create", "--dry-run=server", "-f", "-", stdin=json.dumps(pod), check=False)
        if bool(done.returncode) == refused:
            return
        time.sleep(0.1)
    raise AssertionError(f"pods are not {'refused' if refused else 'taken'} in a minute")


def quota(api: ApiServer, namespace: str, hard: dict[str, str], used: dict[str, str]) -> None:
    """With the status that a controller would keep."""
    meta = {"name": "quota", "namespace": namespace}
    api.apply({"apiVersion": "v1", "kind": "ResourceQuota", "metadata": meta, "spec": {"hard": hard}})
    patch_status(api, "resourcequota", "quota", namespace, {"status": {"hard": hard, "used": used}})


def wait_for_deletions(api: ApiServer, namespace: str, name: str) -> None:
    """Until the pod cannot be deleted."""
    limit = time.monotonic() + 30
    command = ("delete", "pod", name, "-n", namespace, "--dry-run=server", "--grace-period=0", "--force")
    while not api.kubectl(*command, check=False).returncode:
        assert time.monotonic() < limit
        time.sleep(0.1)
