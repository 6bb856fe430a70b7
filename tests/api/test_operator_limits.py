"""A node left out on a real API server, by what a kubelet says alone, and brought back by its user."""

from collections.abc import Iterator

import pytest

from tests.support.apiserver import ApiServer
from tests.support.objects import drop_nodes, get, items, job, make_node, patch_status, program
from tests.support.replicas import condition, pod_on, settle
from tests.support.scripted_fleet import ScriptedFleet

CRASHED = {"terminated": {"exitCode": 1, "reason": "Error", "message": "cannot open /dev/camera0"}}
RAISED = '{"spec":{"runPolicy":{"backoffLimitPerNode":4}}}'


@pytest.fixture(autouse=True)
def _bare(api: ApiServer, namespace: str) -> Iterator[None]:
    drop_nodes(api)
    program(api, namespace, "main.py")
    yield
    drop_nodes(api)


def crash(api: ApiServer, namespace: str, node: str, restart: int) -> None:
    """What a kubelet says of a trainer that has ended with an error for the `restart`th time."""
    trainer = {"name": "trainer", "image": "i", "imageID": "i", "ready": False, "restartCount": restart}
    waits = {"lastState": CRASHED, "state": {"waiting": {"reason": "CrashLoopBackOff"}}}
    status = {"status": {"phase": "Running", "containerStatuses": [{**trainer, **waits}]}}
    patch_status(api, "pod", pod_on(api, namespace, node)["metadata"]["name"], namespace, status)


def test_a_bad_node_is_left_out_and_comes_back_when_its_limit_is_raised(
    api: ApiServer, namespace: str
) -> None:
    nodes = ("edge-a", "edge-b", "edge-c")
    for node in nodes:
        make_node(api, node)
    api.apply(job(namespace, nodes={"min": 2}))
    fleet = ScriptedFleet()
    settle(api, fleet, namespace)
    for node in nodes:
        fleet.say(pod_on(api, namespace, node))
    settle(api, fleet, namespace)
    for restart in (1, 2, 3, 4):
        crash(api, namespace, "edge-c", restart)
        settle(api, fleet, namespace)

    with_pods = {p["metadata"]["annotations"]["edgetrain.io/node"] for p in items(api, "pods", namespace)}
    assert with_pods == {"edge-a", "edge-b"}
    degraded = condition(api, namespace, "Degraded")
    assert degraded["reason"] == "NodeLeftOut" and "edge-c: left out after 4" in degraded["message"]
    line = get(api, "etj", "digits", namespace)["status"]["nodes"][0]
    assert (line["node"], line["state"]) == ("edge-c", "Failed")
    assert [e["reason"] for e in items(api, "events", namespace)].count("NodeLeftOut") == 1
    assert condition(api, namespace, "Failed")["status"] == "False"

    api.kubectl("patch", "etj", "digits", "-n", namespace, "--type=merge", "-p", RAISED)
    settle(api, fleet, namespace)
    assert pod_on(api, namespace, "edge-c")["metadata"]["labels"]["edgetrain.io/attempt"] == "2"
    assert "NodeTakenBack" in [e["reason"] for e in items(api, "events", namespace)]
