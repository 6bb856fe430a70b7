"""Jobs of one queue on a real API server: whose pods are where, and what `kubectl` shows of it."""

import json
from collections.abc import Iterator
from pathlib import Path
from typing import Any

import pytest

from benchmarks.waiting import wait_for
from tests.support.apiserver import ApiServer
from tests.support.objects import get, items, job, nodes_and_program
from tests.support.operator_process import operator_process
from tests.support.replicas import Replica, with_replicas
from tests.support.scripted_fleet import ScriptedFleet

NODES = ("edge-a", "edge-b", "edge-c")


@pytest.fixture(autouse=True)
def fleet_of_three(api: ApiServer, namespace: str) -> Iterator[None]:
    with nodes_and_program(api, namespace, *NODES):
        yield


def queued(namespace: str, name: str, **nodes: Any) -> dict[str, Any]:
    return job(namespace, name, scheduling={"queue": "fleet"}, nodes=nodes)


def settle(api: ApiServer, namespace: str, *names: str) -> None:
    """A new operator comes, looks at these jobs until none is woken by another, and goes."""

    async def all_of_them(replica: Replica) -> None:
        due = list(names)
        replica.reconciler.queues.on_change(lambda key: due.append(key[1]))
        for name in names:
            replica.reconciler.queues.expect((namespace, name), "fleet")
        for _ in range(12):
            now, due[:] = sorted({*due}), []
            for name in now:
                await replica.settle(namespace, name, steps=2)
            if not due:
                return
        raise AssertionError(f"{due} are woken for ever")

    with_replicas(api, ScriptedFleet(), all_of_them)


def held(api: ApiServer, namespace: str) -> dict[str, set[str]]:
    """Job -> nodes on which it has a pod."""
    found: dict[str, set[str]] = {}
    for pod in items(api, "pods", namespace):
        (owner,) = pod["metadata"]["ownerReferences"]
        found.setdefault(owner["name"], set()).add(pod["metadata"]["annotations"]["edgetrain.io/node"])
    return found


def scheduled(api: ApiServer, namespace: str, name: str) -> dict[str, Any]:
    conditions = get(api, "etj", name, namespace).get("status", {}).get("conditions", [])
    return next((dict(c) for c in conditions if c["type"] == "Scheduled"), {"reason": ""})


def reasons(api: ApiServer, namespace: str, name: str) -> set[str]:
    events = items(api, "events.events.k8s.io", namespace)
    return {e["reason"] for e in events if e["regarding"]["name"] == name}


def test_jobs_of_a_queue_never_share_a_node(api: ApiServer, namespace: str) -> None:
    api.apply(queued(namespace, "one"))
    settle(api, namespace, "one")
    assert held(api, namespace) == {"one": set(NODES)}
    api.apply(queued(namespace, "two"))
    settle(api, namespace, "one", "two")
    now = held(api, namespace)
    assert now["one"] | now["two"] == set(NODES) and len(now["two"]) == 1 and not now["one"] & now["two"]
    assert "NodesGivenBack" in reasons(api, namespace, "one")
    assert "NodesGranted" in reasons(api, namespace, "two")
    settle(api, namespace, "two", "one")
    assert held(api, namespace) == now


def test_a_job_that_waits_is_shown_as_queued_and_begins_once_another_ends(
    api: ApiServer, namespace: str
) -> None:
    api.apply(queued(namespace, "one", min=2))
    settle(api, namespace, "one")
    api.apply(queued(namespace, "two", min=3))
    settle(api, namespace, "one", "two")
    assert held(api, namespace) == {"one": set(NODES)}
    said = scheduled(api, namespace, "two")
    assert (said["status"], said["reason"]) == ("False", "Queued")
    assert "one has 3 (its min is 2)" in said["message"]
    assert "startTime" not in get(api, "etj", "two", namespace)["status"]
    shown = api.kubectl("get", "etj", "two", "-n", namespace, "-o", "wide").stdout.splitlines()
    assert "QUEUE" in shown[0].split() and {"Queued", "fleet"} <= set(shown[1].split())
    (event,) = (e for e in items(api, "events.events.k8s.io", namespace) if e["reason"] == "Queued")
    assert event["type"] == "Normal"
    api.kubectl("delete", "etj", "one", "-n", namespace)
    api.kubectl("delete", "pods", "-n", namespace, "--all")  # The garbage collector's business.
    settle(api, namespace, "one", "two")
    assert held(api, namespace) == {"two": set(NODES)}


def test_nodes_go_from_job_to_job_in_one_process_and_stay_where_they_are_in_the_next(
    api: ApiServer, namespace: str, tmp_path: Path
) -> None:
    def shared() -> dict[str, set[str]] | None:
        now = held(api, namespace)
        both = [now.get(name, set()) for name in ("one", "two")]
        return now if set.union(*both) == set(NODES) and not set.intersection(*both) and all(both) else None

    with operator_process(api, namespace, tmp_path) as operator:
        api.apply(queued(namespace, "one"))
        wait_for(lambda: held(api, namespace) == {"one": set(NODES)})
        api.apply(queued(namespace, "two", min=2))
        before = wait_for(shared)
        assert len(before["two"]) == 2
        assert operator.terminate() == 0
    uids = {pod["metadata"]["uid"] for pod in items(api, "pods", namespace)}
    with operator_process(api, namespace, tmp_path, "operator-b") as successor:
        wait_for(successor.leads)
        api.apply(queued(namespace, "three", min=2))
        wait_for(lambda: scheduled(api, namespace, "three")["reason"] == "Queued")
        assert {pod["metadata"]["uid"] for pod in items(api, "pods", namespace)} == uids
        assert "edgetrain_operator_jobs_queued 1.0" in successor.metrics()
        api.kubectl(
            "patch", "etj", "two", "-n", namespace, "--type=merge", "-p", '{"spec": {"suspend": true}}'
        )
        wait_for(lambda: held(api, namespace).get("three") == before["two"])


def test_the_queue_stays_and_the_priority_may_change(api: ApiServer, namespace: str) -> None:
    api.apply(queued(namespace, "one"))
    other = {"spec": {"scheduling": {"queue": "other"}}}
    for change, refused in ((other, True), ({"spec": {"scheduling": {"priority": 7}}}, False)):
        body = json.dumps(change)
        done = api.kubectl("patch", "etj", "one", "-n", namespace, "--type=merge", "-p", body, check=False)
        assert ("scheduling.queue cannot be changed" in done.stderr) == refused
    assert get(api, "etj", "one", namespace)["spec"]["scheduling"] == {"queue": "fleet", "priority": 7}
