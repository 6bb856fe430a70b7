"""Pods that the API server does not take."""

import time
from collections.abc import Iterator
from contextlib import contextmanager

from benchmarks.bed import Bed
from benchmarks.status_cases.case import (
    Case,
    Json,
    Told,
    apply,
    condition_says,
    delete_pod_of,
    document,
    is_named,
    label_namespace,
    start_troubled,
    training,
    wait_troubled_training,
)
from benchmarks.waiting import wait_for

PODS = {"apiGroups": [""], "apiVersions": ["v1"], "operations": ["CREATE"], "resources": ["pods"]}
WEBHOOK = "policy.example.com"
HOOKED, DENIED = "hook=yes", "deny=yes"
BACK_OFF_GROWS_SECONDS = 60.0
"""Of the node that is refused from the beginning."""
WANTED_LABEL = "every pod needs a label team"


def policies() -> list[Json]:
    """Of the whole cluster, for namespaces with a label: a webhook that nobody serves, and a policy that
    denies with a status code of its own."""
    webhook = {
        "name": WEBHOOK,
        "failurePolicy": "Fail",
        "timeoutSeconds": 3,
        "sideEffects": "None",
        "admissionReviewVersions": ["v1"],
        "namespaceSelector": {"matchLabels": {"hook": "yes"}},
        "rules": [PODS],
        "clientConfig": {"service": {"name": "policy", "namespace": "policy-system", "path": "/validate"}},
    }
    wanted = {
        "expression": "has(object.metadata.labels) && 'team' in object.metadata.labels",
        "message": WANTED_LABEL,
        "reason": "RequestEntityTooLarge",
    }
    policy = {
        "failurePolicy": "Fail",
        "matchConstraints": {
            "namespaceSelector": {"matchLabels": {"deny": "yes"}},
            "resourceRules": [PODS],
        },
        "validations": [wanted],
    }
    api = "admissionregistration.k8s.io/v1"
    binding = {"policyName": "bench-deny", "validationActions": ["Deny"]}
    return [
        document("ValidatingWebhookConfiguration", "bench-hook", api, webhooks=[webhook]),
        document("ValidatingAdmissionPolicy", "bench-deny", api, spec=policy),
        document("ValidatingAdmissionPolicyBinding", "bench-deny", api, spec=binding),
    ]


@contextmanager
def webhook_down(test: Bed) -> Iterator[Told]:
    label_namespace(test, HOOKED)
    start_troubled(test)
    yield lambda: condition_says(test, WEBHOOK)


@contextmanager
def webhook_down_while_it_trains(test: Bed) -> Iterator[Told]:
    """A replacement is refused; the rest of the status goes on."""
    start_troubled(test)
    wait_troubled_training(test, len(test.nodes))
    label_namespace(test, HOOKED)
    delete_pod_of(test, test.nodes[-1])
    before = test.status().progress.step
    yield lambda: condition_says(test, WEBHOOK) and test.status().progress.step > before


@contextmanager
def denied(test: Bed) -> Iterator[Told]:
    """With 413, a code that means nothing in particular for a pod."""
    label_namespace(test, DENIED)
    start_troubled(test)
    yield lambda: condition_says(test, WANTED_LABEL)


@contextmanager
def one_node_refused(test: Bed) -> Iterator[Told]:
    refused, others = test.nodes[-1], set(test.nodes[:-1])
    limit = {"type": "Container", "max": {"memory": "1Gi"}, "default": {"memory": "1Gi"}}
    apply(test, document("LimitRange", "limits", spec={"limits": [limit]}))
    selector = {"matchLabels": {"kubernetes.io/hostname": refused}}
    start_troubled(test, overrides=[{"selector": selector, "resources": {"limits": {"memory": "2Gi"}}}])
    yield lambda: training(test) == others and is_named(test, refused) and condition_says(test, "2Gi")


@contextmanager
def quota(test: Bed) -> Iterator[Told]:
    """Two pods for three nodes: one that is deleted is replaced at once, whatever another node waits for."""
    apply(test, document("ResourceQuota", "q", spec={"hard": {"pods": "2"}}))
    start_troubled(test)
    wait_troubled_training(test, 2)
    time.sleep(BACK_OFF_GROWS_SECONDS)
    victim = sorted(training(test))[0]
    gone = test.pod_uids()[victim]
    delete_pod_of(test, victim)
    wait_for(lambda: gone not in test.pod_uids().values(), 60, "the deleted pod to go")
    yield lambda: len(test.pod_uids()) == 2


CASES = (
    Case("a webhook that is down", webhook_down, 30),
    Case("a webhook that goes down while it trains", webhook_down_while_it_trains, 45),
    Case("a policy that denies with 413", denied, 30),
    Case("one node's pod refused: the others train", one_node_refused, 60),
    Case("quota: a replacement waits for no other node", quota, 15),
)
