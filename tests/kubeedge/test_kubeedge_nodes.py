"""KubeEdge nodes in the lab: they are the real ones, can be handled as others can, and leave nothing."""

import json
import os
from pathlib import Path

import pytest

from benchmarks.waiting import wait_for
from edgelab.config import LabConfig, NodeSpec
from edgelab.lab import Lab
from tests.kubeedge.conftest import NODES, SITE
from tests.support.leftovers import everything_of, processes_of, still_alive
from tests.support.pods import Json, apply, get, restricted_pod, wait_running

pytestmark = pytest.mark.lab

KUBEEDGES_OWN = (Path("/etc/kubeedge"), Path("/var/lib/kubeedge"))
"""Where KubeEdge keeps its files on a machine of its own, which this one is not."""


def node(lab: Lab, name: str) -> Json:
    return dict(json.loads(lab.kubectl("get", "node", name, "-o", "json")))


def ready(lab: Lab, name: str) -> str:
    return next(view.ready for view in lab.status().nodes if view.name == name)


def test_node_is_kubeedges_own(lab: Lab) -> None:
    found = node(lab, NODES[0])
    assert "kubeedge" in found["status"]["nodeInfo"]["kubeletVersion"]
    labels = found["metadata"]["labels"]
    assert labels["node-role.kubernetes.io/edge"] == labels["node-role.kubernetes.io/agent"] == ""
    assert labels["topology.edgetrain.io/site"] == SITE


def test_power_cut_and_return(lab: Lab, namespace: str) -> None:
    name = NODES[2]
    apply(lab, namespace, restricted_pod("p", name, "import time; time.sleep(100_000)"))
    wait_running(lab, namespace, "p", 60)
    lab.node_kill(name)
    wait_for(lambda: ready(lab, name) == "Unknown", 30)
    lab.node_start(name)
    assert ready(lab, name) == "True"

    def restarts() -> int:
        (container,) = get(lab, namespace, "pod", "p")["status"]["containerStatuses"]
        return int(container["restartCount"]) if container["ready"] else 0

    wait_for(lambda: restarts() == 1, 60, "the pod to run again")


def test_clean_stop_and_start(lab: Lab) -> None:
    lab.node_stop(NODES[2])
    lab.node_start(NODES[2])
    assert ready(lab, NODES[2]) == "True"


def test_offline_and_back(lab: Lab) -> None:
    lab.offline(NODES[0])
    try:
        wait_for(lambda: ready(lab, NODES[0]) == "Unknown", 30)
        assert ready(lab, NODES[1]) == "True"
    finally:
        lab.heal(NODES[0])
    wait_for(lambda: ready(lab, NODES[0]) == "True", 60)


def test_cut_off_and_back(lab: Lab) -> None:
    lab.partition(*NODES[:2])
    try:
        wait_for(lambda: ready(lab, NODES[0]) == ready(lab, NODES[1]) == "Unknown", 30)
        assert ready(lab, NODES[2]) == "True"
    finally:
        lab.heal()
    wait_for(lambda: ready(lab, NODES[0]) == ready(lab, NODES[1]) == "True", 60)


def test_removed_node_and_ended_lab_leave_nothing() -> None:
    ours = Lab(f"kubeedge-end-{os.getpid()}", say=print)
    try:
        ours.up(LabConfig(nodes=[NodeSpec(name=name, kind="kubeedge") for name in ("one", "two")]))
        ours.node_remove("one")
        assert [view.name for view in ours.status().nodes] == ["two"]
        assert "one" not in ours.kubectl("get", "nodes", "-o", "name")
        alive = processes_of(ours)
        assert alive
    finally:
        ours.down()
    assert not still_alive(alive)
    assert everything_of(ours.name) == []
    assert not [path for path in KUBEEDGES_OWN if path.exists()]
