"""Nodes that fall, come back, are slow, or are cut off."""

import json
import os
import signal
import subprocess
import time
from pathlib import Path

import pytest

from benchmarks.waiting import wait_for
from edgelab import machines
from edgelab.config import NodeSpec
from edgelab.errors import LabError
from edgelab.lab import Lab
from edgetrain_protocol.names import CONTROL_PORT
from tests.lab.conftest import NodeFactory
from tests.support.pods import apply, get, restricted_pod, wait_running
from tests.support.transfer import megabits_per_second, open_connection

pytestmark = pytest.mark.lab

COUNT_STARTS = (
    "import pathlib, time; p = pathlib.Path('/tmp/starts'); "
    "p.write_text((p.read_text() if p.exists() else '') + 'x'); print(p.read_text(), flush=True); "
    "time.sleep(1000)"
)
NOTE_TERM = (
    "import pathlib, signal, time; "
    "signal.signal(signal.SIGTERM, lambda *_: (pathlib.Path('/data/asked').touch(), exit())); "
    "print('listening', flush=True); time.sleep(1000)"
)
SPIN = "import time; time.sleep(0.1)\nwhile True: pass"


def test_added_node_carries_its_labels(lab: Lab, new_node: NodeFactory) -> None:
    node = new_node(link="50mbit", site="north", labels={"gpu": "none"})
    labels = json.loads(lab.kubectl("get", "node", node.name, "-o", "json"))["metadata"]["labels"]

    assert labels["node-role.kubernetes.io/edge"] == ""
    assert labels["topology.edgetrain.io/site"] == "north"
    assert labels["edgetrain.io/link"] == "50mbit"
    assert labels["gpu"] == "none"


def test_removed_node_leaves_nothing(lab: Lab, new_node: NodeFactory) -> None:
    name = new_node().name
    directory = lab.node(name).root

    lab.node_remove(name)

    assert name not in lab.kubectl("get", "nodes", "-o", "name")
    assert not directory.exists()
    with pytest.raises(LabError, match="has no node"):
        lab.node_start(name)
    new_node(name=name)


def test_power_cut_and_return(lab: Lab, namespace: str, new_node: NodeFactory) -> None:
    node = new_node()
    apply(lab, namespace, restricted_pod("p", node.name, COUNT_STARTS))
    assert wait_for(lambda: _logs(lab, namespace, "p") == "x\n")

    lab.node_kill(node.name)
    assert wait_for(lambda: _ready(lab, node.name) == "Unknown", 20)
    lab.node_start(node.name)

    assert _ready(lab, node.name) == "True"
    # The emptyDir is the one of before, the process is not.
    assert wait_for(lambda: _logs(lab, namespace, "p") == "xx\n")
    assert get(lab, namespace, "pod", "p")["status"]["containerStatuses"][0]["restartCount"] == 1


def test_power_cut_tells_nobody(lab: Lab, new_node: NodeFactory) -> None:
    node = new_node()
    with open_connection(lab, "edge-1", node.name) as connection:
        lab.node_kill(node.name)
        assert connection.news(seconds=1.5) == "silence"


def test_clean_stop_asks_containers_to_end(lab: Lab, namespace: str, new_node: NodeFactory) -> None:
    node = new_node()
    volume = {"/data": {"hostPath": {"path": "/var/asked", "type": "DirectoryOrCreate"}}}
    unbound = "pod-security.kubernetes.io/enforce=privileged"
    lab.kubectl("label", "namespace", namespace, unbound, "--overwrite")
    pod = restricted_pod("p", node.name, NOTE_TERM, volumes=volume)
    pod["spec"]["securityContext"] = {"runAsUser": 0}
    apply(lab, namespace, pod)
    assert wait_for(lambda: _logs(lab, namespace, "p") == "listening\n")

    began = time.monotonic()
    lab.node_stop(node.name)

    assert (lab.node(node.name).var / "asked" / "asked").exists()
    assert time.monotonic() - began < 4, "something did not end when asked"
    assert _power(lab, node.name) == "off"


def test_daemon_that_dies_is_started_again(lab: Lab, new_node: NodeFactory) -> None:
    node = new_node()
    before = _kubelet(lab, node.name)

    os.kill(before, signal.SIGKILL)

    assert wait_for(lambda: _kubelet(lab, node.name) not in (0, before))


def test_processor_quota_holds(lab: Lab, namespace: str, new_node: NodeFactory) -> None:
    node = new_node(cpu=0.25)
    apply(lab, namespace, restricted_pod("p", node.name, SPIN))
    wait_running(lab, namespace, "p")
    pid = lab.container_pid(node.name, namespace, "p", "main")

    used, began = _processor_seconds(pid), time.monotonic()
    wait_for(lambda: time.monotonic() - began > 3)
    share = (_processor_seconds(pid) - used) / (time.monotonic() - began)

    assert share == pytest.approx(0.25, rel=0.15)


@pytest.mark.parametrize("rate", [5, 50, 500])
def test_link_has_its_rate_in_both_directions(lab: Lab, new_node: NodeFactory, rate: int) -> None:
    node = new_node(link=f"{rate}mbit")

    assert _rate(lab, node.name, "cloud", rate) == pytest.approx(rate, rel=0.1)
    assert _rate(lab, "cloud", node.name, rate) == pytest.approx(rate, rel=0.1)


def test_link_is_shaped_anew_and_stays_so(lab: Lab, new_node: NodeFactory) -> None:
    node = new_node(link="100mbit")

    lab.link(node.name, "10mbit")
    assert _rate(lab, node.name, "cloud", 10) == pytest.approx(10, rel=0.1)
    lab.node_kill(node.name)
    lab.node_start(node.name)
    assert _rate(lab, node.name, "cloud", 10) == pytest.approx(10, rel=0.1)


def test_link_counts_what_it_carries(lab: Lab, new_node: NodeFactory) -> None:
    node = new_node(link="50mbit")
    before = lab.link_bytes(node.name)
    megabits_per_second(lab, node.name, "cloud", 50, seconds=1)
    after = lab.link_bytes(node.name)

    payload = 50e6 / 8
    assert payload < after.sent - before.sent < 1.15 * payload
    assert after.received - before.received < 0.1 * payload


def test_partition_lets_its_nodes_talk_and_nobody_else(lab: Lab, new_node: NodeFactory) -> None:
    one, two = new_node().name, new_node().name

    lab.partition(one, two)
    assert _reaches(lab, one, two)
    assert not _reaches(lab, one, "edge-1")
    assert not _reaches(lab, "edge-1", two)
    assert wait_for(lambda: _ready(lab, one) == _ready(lab, two) == "Unknown", 15)
    assert {n.partition for n in lab.status().nodes if n.name in (one, two)} == {1}

    lab.heal(one)
    assert _reaches(lab, one, "edge-1")
    assert not _reaches(lab, one, two)
    lab.heal()
    assert _reaches(lab, one, two)
    assert wait_for(lambda: _ready(lab, one) == _ready(lab, two) == "True", 20)


def test_offline_node_loses_the_cloud_and_nothing_else(lab: Lab, new_node: NodeFactory) -> None:
    name = new_node().name

    lab.offline(name)
    assert not _reaches(lab, name, "cloud")
    assert not _reaches(lab, "cloud", name)
    assert _reaches(lab, name, "edge-1")
    assert wait_for(lambda: _ready(lab, name) == "Unknown", 15)
    assert [n.offline for n in lab.status().nodes if n.name == name] == [True]

    lab.node_kill(name)
    lab.node_start(name)
    assert not _reaches(lab, name, "cloud")

    lab.heal(name)
    assert _reaches(lab, name, "cloud")
    assert wait_for(lambda: _ready(lab, name) == "True", 20)


def test_cut_drops_its_part_and_ends_with_its_node(lab: Lab, new_node: NodeFactory) -> None:
    one, two = new_node().name, new_node().name

    lab.cut(one, two, only="control")
    assert not _reaches(lab, one, two, CONTROL_PORT)
    assert _reaches(lab, one, two)
    assert _reaches(lab, one, "edge-1", CONTROL_PORT)
    lab.heal(two)
    lab.cut(one, only="data")
    assert not _reaches(lab, one, two)
    assert _reaches(lab, one, two, CONTROL_PORT)
    assert _reaches(lab, one, "cloud")
    lab.heal(two)
    assert not _reaches(lab, one, two), "it is cut off from all others, whatever becomes of one of them"

    lab.node_remove(one)
    assert not any(node.cuts for node in lab.status().nodes)


def test_what_cannot_be_is_refused_by_name(lab: Lab) -> None:
    with pytest.raises(LabError, match="no node 'edge-77': it has cloud, edge-1"):
        lab.node_kill("edge-77")
    with pytest.raises(LabError, match="'cloud' is in the cloud: only edge nodes can be offline"):
        lab.offline("cloud")
    with pytest.raises(LabError, match="'edge-1' cannot be cut off from itself"):
        lab.cut("edge-1", "edge-1")
    with pytest.raises(LabError, match="'edge-1' is on already"):
        lab.node_start("edge-1")
    with pytest.raises(LabError, match="'fast' is no link: write a rate such as 50mbit"):
        lab.link("edge-1", "fast")
    with pytest.raises(LabError, match="has a node 'edge-1' already"):
        lab.node_add(NodeSpec(name="edge-1"))


def _rate(lab: Lab, source: str, sink: str, expected: float) -> float:
    """The best of three, if need be: other work on the machine slows a transfer, and nothing speeds it up."""
    measured = 0.0
    for _ in range(3):
        measured = max(measured, megabits_per_second(lab, source, sink, expected))
        if measured > 0.94 * expected:
            break
    return measured


def _logs(lab: Lab, namespace: str, pod: str) -> str:
    return lab.kubectl("-n", namespace, "logs", pod)


def _ready(lab: Lab, node: str) -> str:
    return next(view.ready for view in lab.status().nodes if view.name == node)


def _power(lab: Lab, node: str) -> str:
    return next(view.power for view in lab.status().nodes if view.name == node)


def _kubelet(lab: Lab, node: str) -> int:
    listed = subprocess.run(["pgrep", "-x", "kubelet"], capture_output=True, text=True).stdout.split()
    ours = machines.processes_in(lab.netns(node))
    return next((pid for pid in map(int, listed) if pid in ours), 0)


def _reaches(lab: Lab, source: str, target: str, port: int = 10250) -> bool:
    """Whether a connection is made or refused; the kubelet's port is open on every node."""
    connect = (
        f"import contextlib, socket\n"
        f"with contextlib.suppress(ConnectionRefusedError):\n"
        f"    socket.create_connection(({lab.address(target)!r}, {port}), timeout=1)"
    )
    return lab.exec_on(source, ["python3", "-c", connect]).returncode == 0


def _processor_seconds(pid: int) -> float:
    return int(Path(f"/proc/{pid}/schedstat").read_text().split()[0]) / 1e9
