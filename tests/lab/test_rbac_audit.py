"""The operator has the rights that it needs and no others, by the word of the API server's audit log.

The log is the whole session's: what the operator did in other tests counts as well.
"""

import json
from datetime import UTC, datetime, timedelta
from typing import Any

import pytest

from benchmarks.waiting import wait_for
from edgelab.demo.install import OPERATOR_NAMESPACE
from edgelab.lab import Lab
from edgetrain_operator.core.naming import pod_name
from edgetrain_operator.fleet.ca import make_authority
from edgetrain_operator.fleet.keyring import Keyring
from edgetrain_protocol.names import GROUP, KIND, VERSION
from tests.support.pods import apply, get, restricted_pod, suspend
from tests.support.rights import Right, granted, refused, requests

pytestmark = pytest.mark.lab

ACCOUNT = "edgetrain"
USER = f"system:serviceaccount:{OPERATOR_NAMESPACE}:{ACCOUNT}"
KEYRING = "edgetrain-operator-keyring"
CLAIMS = {"checkpoint": {"claim": {"size": "16Mi"}}}


def job(name: str, **spec: Any) -> dict[str, Any]:
    program = {"command": ["python", "-c", "import time; time.sleep(600)"]}
    return {
        "apiVersion": f"{GROUP}/{VERSION}",
        "kind": KIND,
        "metadata": {"name": name},
        "spec": {"program": program, **spec},
    }


def living(lab: Lab, namespace: str, name: str) -> list[str]:
    selector = f"{GROUP}/job-name={name}"
    found = lab.kubectl("-n", namespace, "get", "pods", "-l", selector, "-o", "json")
    return [
        p["metadata"]["name"] for p in json.loads(found)["items"] if "deletionTimestamp" not in p["metadata"]
    ]


def live_and_be_suspended(lab: Lab, namespace: str) -> None:
    """Pods, claims, token, plan and CA made; pods deleted."""
    apply(lab, namespace, job("life", storage=CLAIMS))
    wait_for(lambda: living(lab, namespace, "life"))
    suspend(lab, namespace, "life", True)
    wait_for(lambda: not living(lab, namespace, "life"))


def find_a_name_taken(lab: Lab, namespace: str) -> None:
    """Somebody else's pod has the name that a worker's would get: it is looked at, and another is used."""
    apply(
        lab,
        namespace,
        job("taken", suspend=True, nodes={"selector": {"matchLabels": {"kubernetes.io/hostname": "edge-1"}}}),
    )
    uid = get(lab, namespace, "etj", "taken")["metadata"]["uid"]
    name = pod_name("taken", uid, "edge-1", 1)
    apply(lab, namespace, restricted_pod(name, "edge-1", "import time; time.sleep(600)"))
    suspend(lab, namespace, "taken", False)
    wait_for(lambda: living(lab, namespace, "taken"))
    assert name not in living(lab, namespace, "taken")


def fail_and_be_deleted(lab: Lab, namespace: str) -> None:
    """A job that no node matches, past its deadline and its time to live."""
    nowhere = {"selector": {"matchLabels": {"nowhere": "true"}}}
    ends = {"activeDeadlineSeconds": 1, "ttlSecondsAfterFinished": 0}
    apply(lab, namespace, job("ends", nodes=nowhere, runPolicy=ends))
    wait_for(lambda: "ends" not in lab.kubectl("-n", namespace, "get", "etj", "-o", "name"))


def miss_a_runtime(lab: Lab, namespace: str) -> None:
    """It is asked for by its name, as it may be newer than the watch."""
    apply(lab, namespace, job("ruled", runtimeRef={"name": "nowhere"}))
    wait_for(lambda: get(lab, namespace, "etj", "ruled").get("status", {}).get("reason") == "RuntimeMissing")


def drop_an_old_authority(lab: Lab) -> None:
    """The keyring holds an expired authority, which an operator that starts takes out."""
    held = Keyring.from_secret(get(lab, OPERATOR_NAMESPACE, "secret", KEYRING)["data"])
    expired = make_authority(datetime.now(UTC) - timedelta(days=365 * 50))
    older = Keyring((*held.authorities, expired), held.token_keys)
    patch = json.dumps({"data": older.to_secret()})
    lab.kubectl("-n", OPERATOR_NAMESPACE, "patch", "secret", KEYRING, "--type=merge", "-p", patch)
    lab.kubectl("-n", OPERATOR_NAMESPACE, "delete", "pod", "-l", "app.kubernetes.io/name=edgetrain-operator")
    wait_for(lambda: Keyring.from_secret(get(lab, OPERATOR_NAMESPACE, "secret", KEYRING)["data"]) == held, 60)
    lab.kubectl("-n", OPERATOR_NAMESPACE, "rollout", "status", "deployment", "--timeout=60s")


def refusals(lab: Lab) -> list[tuple[Right, str]]:
    seen = requests(lab.audit_log, USER)
    return [
        (use, event["annotations"]["authorization.k8s.io/reason"]) for use, event in seen if refused(event)
    ]


def test_rights_are_all_used_and_enough(lab: Lab, operator: str, namespace: str) -> None:
    try:
        live_and_be_suspended(lab, namespace)
        find_a_name_taken(lab, namespace)
        fail_and_be_deleted(lab, namespace)
        miss_a_runtime(lab, namespace)
        drop_an_old_authority(lab)
    finally:
        # First: a right that is missing holds up what rests on it, and would show as a timeout.
        assert refusals(lab) == []
    used = {use for use, _ in requests(lab.audit_log, USER)}
    rights = granted(lab, ACCOUNT, OPERATOR_NAMESPACE)
    assert len(rights) > 20
    assert sorted(right for right in rights if not any(right.covers(use) for use in used)) == []


def test_only_its_own_secret_was_read(lab: Lab, operator: str) -> None:
    """Users' Secrets are made, and never looked at."""
    reads = {"get", "list", "watch", "patch"}
    secrets = [
        use for use, _ in requests(lab.audit_log, USER) if use.resource == "secrets" and use.verb in reads
    ]
    assert {(use.namespace, use.name) for use in secrets} == {(OPERATOR_NAMESPACE, KEYRING)}
