"""Jobs that name a runtime, on a real API server: what they come to, and runtimes that come and go."""

from collections.abc import Iterator
from pathlib import Path
from typing import Any

import pytest

from benchmarks.waiting import wait_for
from edgetrain_protocol.names import GROUP, RUNTIME_KIND, VERSION
from tests.support.apiserver import ApiServer
from tests.support.objects import drop_nodes, get, items, job, make_node, program
from tests.support.operator_process import operator_process
from tests.support.replicas import Replica, condition, pod_on, settle, with_replicas
from tests.support.scripted_fleet import ScriptedFleet

SAYS: dict[str, Any] = {
    "program": {"image": "registry.example/platform:7", "env": [{"name": "HF_HUB_OFFLINE", "value": "1"}]},
    "nodes": {"selector": {"matchLabels": {"board": "usual"}}},
    "template": {
        "spec": {
            "containers": [{"name": "trainer", "resources": {"requests": {"cpu": "2"}}}],
            "securityContext": {"runAsUser": 1234},
        }
    },
    "storage": {"checkpoint": {"claim": {"storageClassName": "local", "size": "5Gi"}}},
    "strategy": {"checkpointEverySeconds": 300},
    "mayChange": ["template.spec.containers.trainer.resources"],
}


@pytest.fixture
def runtime(api: ApiServer, namespace: str) -> Iterator[str]:
    """The name of one that is not there yet, beside two nodes and a program."""
    drop_nodes(api)
    program(api, namespace, "main.py")
    make_node(api, "edge-a", board="usual")
    make_node(api, "edge-b", board="other")
    yield f"gpu-{namespace}"
    drop_nodes(api)
    api.kubectl("delete", "etr", f"gpu-{namespace}", "--ignore-not-found")


def make(api: ApiServer, name: str, **changes: Any) -> None:
    api.apply(
        {
            "apiVersion": f"{GROUP}/{VERSION}",
            "kind": RUNTIME_KIND,
            "metadata": {"name": name},
            "spec": SAYS | changes,
        }
    )


def named(namespace: str, runtime: str, **spec: Any) -> dict[str, Any]:
    return job(namespace, runtimeRef={"name": runtime}, **spec)


def status_of(api: ApiServer, namespace: str) -> dict[str, Any]:
    found: dict[str, Any] = get(api, "etj", "digits", namespace)["status"]["runtime"]
    return found


def test_ten_lines_get_pods_as_the_runtime_says(api: ApiServer, namespace: str, runtime: str) -> None:
    make(api, runtime)
    api.apply(named(namespace, runtime))
    fleet = ScriptedFleet()
    settle(api, fleet, namespace)
    (pod,) = items(api, "pods", namespace)
    assert pod["metadata"]["annotations"]["edgetrain.io/node"] == "edge-a", "the only one that it is for"
    (trainer,) = pod["spec"]["containers"]
    assert trainer["image"] == "registry.example/platform:7"
    assert trainer["resources"]["requests"]["cpu"] == "2"
    assert {"name": "HF_HUB_OFFLINE", "value": "1"} in trainer["env"]
    assert pod["spec"]["securityContext"]["runAsUser"] == 1234
    (claim,) = items(api, "pvc", namespace)
    assert claim["spec"]["storageClassName"] == "local"
    assert status_of(api, namespace) == {
        "name": runtime,
        "generation": 1,
        "newestGeneration": 1,
        "message": "",
    }
    fleet.say(pod)
    settle(api, fleet, namespace)
    plan = next(iter(fleet.plans.values()))[-1]
    assert plan.checkpoint_every_seconds == 300, "the job trains as the runtime says"
    shown = api.kubectl("get", "etj", "digits", "-n", namespace, "-o", "wide").stdout.splitlines()
    assert "RUNTIME" in shown[0].split() and runtime in shown[1].split()


def test_what_may_not_be_said_is_refused_with_its_field_and_runtime(
    api: ApiServer, namespace: str, runtime: str
) -> None:
    make(api, runtime)
    resources = {"containers": [{"name": "trainer", "resources": {"requests": {"cpu": "1"}}}]}
    # What a job without a runtime has by default is a change like any other.
    api.apply(
        named(namespace, runtime, template={"spec": resources}, strategy={"checkpointEverySeconds": 30})
    )
    settle(api, ScriptedFleet(), namespace)
    assert items(api, "pods", namespace) == []
    said = condition(api, namespace, "Scheduled")
    assert (said["status"], said["reason"]) == ("False", "NotAllowed")
    assert (
        f"strategy.checkpointEverySeconds 30 may not be said: spec.mayChange of {RUNTIME_KIND} {runtime}"
        in said["message"]
    )
    make(api, runtime, mayChange=["strategy", *SAYS["mayChange"]])
    settle(api, ScriptedFleet(), namespace)
    (pod,) = items(api, "pods", namespace)
    assert pod["spec"]["containers"][0]["resources"]["requests"]["cpu"] == "1"


def test_a_runtime_that_comes_later_wakes_the_jobs_that_wait(
    api: ApiServer, namespace: str, runtime: str, tmp_path: Path
) -> None:
    with operator_process(api, namespace, tmp_path, RESYNC_SECONDS="86400") as operator:
        api.apply(named(namespace, runtime))
        wait_for(
            lambda: get(api, "etj", "digits", namespace).get("status", {}).get("reason") == "RuntimeMissing"
        )
        make(api, runtime)
        wait_for(lambda: items(api, "pods", namespace))
        make(api, runtime, strategy={"payload": "fp32"})
        wait_for(lambda: status_of(api, namespace).get("newestGeneration") == 2)
        api.kubectl("delete", "etr", runtime)
        wait_for(lambda: "newestGeneration" not in status_of(api, namespace))
        assert status_of(api, namespace)["generation"] == 1
        assert operator.terminate() == 0


def test_a_job_keeps_what_it_began_with_until_it_is_suspended(
    api: ApiServer, namespace: str, runtime: str
) -> None:
    make(api, runtime)
    api.apply(named(namespace, runtime))
    fleet = ScriptedFleet()
    settle(api, fleet, namespace)
    before = pod_on(api, namespace, "edge-a")
    fleet.say(before)
    make(api, runtime, program={"image": "registry.example/platform:8"})
    settle(api, fleet, namespace)
    assert pod_on(api, namespace, "edge-a")["metadata"]["uid"] == before["metadata"]["uid"]
    told = status_of(api, namespace)
    assert (told["generation"], told["newestGeneration"]) == (1, 2)
    assert "the job keeps generation 1, with which it began" in told["message"]
    (event,) = (e for e in items(api, "events.events.k8s.io", namespace) if e["reason"] == "RuntimeChanged")
    assert runtime in event["note"]
    api.kubectl("delete", "etr", runtime)
    api.kubectl("delete", "pod", "--all", "-n", namespace)
    settle(api, fleet, namespace)
    settle_later(api, fleet, namespace)
    assert pod_on(api, namespace, "edge-a")["spec"]["containers"][0]["image"].endswith(":7")
    make(api, runtime, program={"image": "registry.example/platform:9"})
    suspend(api, namespace, True)
    settle(api, fleet, namespace)
    assert items(api, "pods", namespace) == []
    suspend(api, namespace, False)
    settle(api, fleet, namespace)
    settle_later(api, fleet, namespace)
    assert pod_on(api, namespace, "edge-a")["spec"]["containers"][0]["image"].endswith(":9")


def settle_later(api: ApiServer, fleet: ScriptedFleet, namespace: str) -> None:
    """When another pod may be made in the place of one that has ended."""

    async def later(replica: Replica) -> None:
        replica.ahead = 120.0
        await replica.settle(namespace)

    with_replicas(api, fleet, later)


def suspend(api: ApiServer, namespace: str, whether: bool) -> None:
    body = f'{{"spec": {{"suspend": {str(whether).lower()}}}}}'
    api.kubectl("patch", "etj", "digits", "-n", namespace, "--type=merge", "-p", body)


def test_a_job_keeps_its_runtime_and_need_not_say_what_to_run(
    api: ApiServer, namespace: str, runtime: str
) -> None:
    made = named(namespace, runtime)
    del made["spec"]["program"]
    api.apply(made)
    for change in ('{"runtimeRef": {"name": "other"}}', '{"runtimeRef": null}'):
        body = f'{{"spec": {change}}}'
        done = api.kubectl("patch", "etj", "digits", "-n", namespace, "--type=merge", "-p", body, check=False)
        assert "spec.runtimeRef cannot be changed" in done.stderr
