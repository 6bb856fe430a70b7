"""What of a job may be changed later, and what `kubectl` shows of it and does to it."""

import json
from typing import Any

import pytest

from edgetrain_protocol.names import GROUP, KIND, PLURAL, VERSION
from edgetrain_protocol.status import JobProgress, JobStatus, NodeStatus, WorkerCounts
from edgetrain_protocol.strategy_spec import LIKE_THE_OTHERS
from tests.support.apiserver import ApiServer

FROZEN: dict[str, Any] = {
    "program": {"args": ["--fast"]},
    "overrides": [{"selector": {}, "image": "other"}],
    "template": {"metadata": {"labels": {"team": "b"}}},
    "data": {"policy": "local"},
    "storage": {"model": {"volume": {"emptyDir": None, "hostPath": {"path": "/srv"}}}},
    "elastic": {"joinDelaySeconds": 9},
    "managedBy": "kueue.x-k8s.io/multikueue",
}
FROZEN_STRATEGY: dict[str, Any] = {
    "preset": "ddp",
    "grouping": "single",
    "localSteps": 4,
    "reduction": "star",
    "payload": "int8",
    "shares": "equal",
    "checkpointEverySeconds": 9,
}
MUTABLE: list[dict[str, Any]] = [
    {
        "strategy": {
            "roundPolicy": "groups",
            "roundLimit": 2,
            "mergeWeights": "samples",
            "roundPayload": "int8",
        }
    },
    {"strategy": {"outer": "nesterov", "outerLearningRate": 0.5, "outerMomentum": 0.8}},
    {"suspend": True},
    {"nodes": {"min": 2}},
    {"nodes": {"max": 7}},
    {"nodes": {"exclude": ["edge-3"]}},
    {
        "runPolicy": {
            "backoffLimit": 1,
            "backoffLimitPerNode": 0,
            "activeDeadlineSeconds": 60,
            "ttlSecondsAfterFinished": 5,
        }
    },
]


@pytest.fixture
def job(api: ApiServer, namespace: str) -> str:
    """A minimal job called `digits`; its namespace."""
    spec = {
        "program": {"source": {"configMap": {"name": "p"}}},
        "storage": {"model": {"volume": {"emptyDir": {}}}},
    }
    meta = {"name": "digits", "namespace": namespace}
    api.apply({"apiVersion": f"{GROUP}/{VERSION}", "kind": KIND, "metadata": meta, "spec": spec})
    return namespace


def patch(api: ApiServer, namespace: str, change: dict[str, Any], *more: str) -> str:
    """Merge into the job; what kubectl complains about, empty if it does not."""
    body = json.dumps(change)
    done = api.kubectl(
        "patch", "etj", "digits", "-n", namespace, "--type=merge", "-p", body, *more, check=False
    )
    return done.stderr


def get(api: ApiServer, namespace: str, path: str) -> str:
    return api.kubectl("get", "etj", "digits", "-n", namespace, "-o", f"jsonpath={{{path}}}").stdout


@pytest.mark.parametrize("field", FROZEN)
def test_frozen(api: ApiServer, job: str, field: str) -> None:
    refusal = patch(api, job, {"spec": {field: FROZEN[field]}})
    assert (
        f"spec.{field}: Forbidden: spec.{field} cannot be changed: delete the job and create it anew"
        in refusal
    )


@pytest.mark.parametrize("field", LIKE_THE_OTHERS)
def test_of_the_strategy_what_all_workers_do_alike_is_frozen(api: ApiServer, job: str, field: str) -> None:
    refusal = patch(api, job, {"spec": {"strategy": {field: FROZEN_STRATEGY[field]}}})
    assert f"spec.strategy.{field}: Forbidden: spec.strategy.{field} cannot be changed" in refusal


def test_selector_is_frozen(api: ApiServer, job: str) -> None:
    refusal = patch(api, job, {"spec": {"nodes": {"selector": {"matchLabels": {"a": "b"}}}}})
    assert "spec.nodes.selector: Forbidden" in refusal


@pytest.mark.parametrize("change", MUTABLE, ids=json.dumps)
def test_mutable(api: ApiServer, job: str, change: dict[str, Any]) -> None:
    before = get(api, job, ".metadata.generation")
    assert patch(api, job, {"spec": change}) == ""
    assert get(api, job, ".metadata.generation") != before


def test_scale_of_a_job_that_sets_no_max(api: ApiServer, job: str) -> None:
    path = f"/apis/{GROUP}/{VERSION}/namespaces/{job}/{PLURAL}/digits/scale"
    scale = json.loads(api.kubectl("get", "--raw", path).stdout)
    assert scale["spec"]["replicas"] == 100
    api.kubectl("scale", "etj", "digits", "-n", job, "--replicas=3")
    assert get(api, job, ".spec.nodes.max") == "3"


def test_scaling_to_none_stops_all(api: ApiServer, job: str) -> None:
    api.kubectl("scale", "etj", "digits", "-n", job, "--replicas=0")
    assert get(api, job, ".spec.nodes.max") == "0"


def test_columns(api: ApiServer, job: str) -> None:
    status = JobStatus(
        phase="Training",
        workers=WorkerCounts(desired=5, ready=4, training=3, paused=1),
        progress=JobProgress(step=1200, epoch=3, percent=34.2, loss=0.25, samples_per_second=810.5),
        aggregator="edge-2",
        selector="a=b",
        nodes=[
            NodeStatus.model_validate(
                {"node": "edge-2", "worker": "w-2", "state": "Training", "aggregator": True}
            )
        ],
    )
    assert patch(api, job, {"status": status.to_wire()}, "--subresource=status") == ""
    shown = api.kubectl("get", "etj", "-n", job).stdout.splitlines()
    assert shown[0].split() == ["NAME", "STATE", "WORKERS", "PROGRESS", "AGGREGATOR", "AGE"]
    assert shown[1].split()[:7] == ["digits", "Training", "4/5", "34%", "step", "1200", "edge-2"]
    wide = api.kubectl("get", "etj", "-n", job, "-o", "wide").stdout.splitlines()
    assert {"REASON", "TRAINING", "PAUSED", "EPOCH", "LOSS", "REVISION", "FAILURES"} <= set(wide[0].split())
    assert "0.25" in wide[1].split()


def test_status_cannot_be_written_with_the_spec(api: ApiServer, job: str) -> None:
    patch(api, job, {"status": {"phase": "Complete"}, "spec": {"suspend": True}})
    assert get(api, job, ".status.phase") == ""


def test_two_writers_keep_their_conditions(api: ApiServer, job: str) -> None:
    """Conditions merge by type: another controller's condition survives our apply."""
    at = "2026-01-01T00:00:00Z"
    for manager, kind in (("edgetrain", "Training"), ("somebody", "Approved")):
        condition = {"type": kind, "status": "True", "reason": "R", "lastTransitionTime": at}
        body = {
            "apiVersion": f"{GROUP}/{VERSION}",
            "kind": KIND,
            "metadata": {"name": "digits", "namespace": job},
            "status": {"conditions": [condition]},
        }
        api.kubectl("apply", "--server-side", "--subresource=status", f"--field-manager={manager}", "-f", "-",
                    stdin=json.dumps(body))  # fmt: skip
    assert get(api, job, ".status.conditions[*].type").split() == ["Training", "Approved"]


def test_a_job_whose_defaults_were_written_out_is_applied_again_and_not_replaced(
    api: ApiServer, namespace: str
) -> None:
    """As jobs from before runtimes are: what a runtime may say has been left out since."""
    short: dict[str, Any] = {
        "apiVersion": f"{GROUP}/{VERSION}",
        "kind": KIND,
        "metadata": {"name": "digits", "namespace": namespace},
        "spec": {"program": {"source": {"configMap": {"name": "p"}}}},
    }
    defaults = {"strategy": {"payload": "auto", "checkpointEverySeconds": 30}}
    api.kubectl("create", "-f", "-", stdin=json.dumps(short | {"spec": {**short["spec"], **defaults}}))
    # As `kubectl apply` leaves it, which knows nothing of defaults.
    applied = f"kubectl.kubernetes.io/last-applied-configuration={json.dumps(short)}"
    api.kubectl("annotate", "etj", "digits", "-n", namespace, applied)
    api.kubectl("apply", "-f", "-", stdin=json.dumps(short))
    assert get(api, namespace, ".spec.strategy.payload") == "auto"
    done = api.kubectl("replace", "-f", "-", stdin=json.dumps(short), check=False)
    assert "spec.strategy.payload cannot be changed" in done.stderr
