"""Labs coming and going, in good order and by accident."""

import os
import signal
import subprocess
import sys
from collections.abc import Callable, Iterator

import pytest

from benchmarks.waiting import wait_for
from edgelab import machines, network
from edgelab.config import LabConfig, edge_nodes
from edgelab.errors import LabError
from edgelab.lab import Lab
from tests.support.leftovers import everything_of, host_rules, processes_of, routes_to, still_alive
from tests.support.pods import apply, restricted_pod, wait_running

pytestmark = pytest.mark.lab

EMPTY = LabConfig(nodes=[])
SLEEP = "import time; time.sleep(1000)"

LabMaker = Callable[[str], Lab]


@pytest.fixture
def make_lab() -> Iterator[LabMaker]:
    """Labs that are the test's own and gone after it."""
    made: list[Lab] = []

    def make(suffix: str) -> Lab:
        made.append(Lab(f"own-{os.getpid()}-{suffix}"))
        return made[-1]

    yield make
    for lab in made:
        lab.down()


def test_down_leaves_nothing(make_lab: LabMaker) -> None:
    rules = host_rules()
    lab = make_lab("a")
    lab.up(edge_nodes(1))
    apply(lab, "default", restricted_pod("p", "edge-1", SLEEP))
    wait_running(lab, "default", "p")
    running, block = processes_of(lab), _block(lab)
    assert len(running) > 10
    assert routes_to(block)

    lab.down()

    assert everything_of(lab.name) == []
    assert still_alive(running) == set()
    assert routes_to(block) == ""
    assert host_rules() == rules


def test_crash_leaves_what_down_and_up_can_mend(make_lab: LabMaker) -> None:
    lab = make_lab("a")
    lab.up(edge_nodes(1))
    apply(lab, "default", restricted_pod("p", "edge-1", SLEEP))
    wait_running(lab, "default", "p")
    running = processes_of(lab)
    _crash(lab)
    wait_for(lambda: not still_alive(running))
    assert everything_of(lab.name)

    lab.up(edge_nodes(1))
    assert [view.ready for view in lab.status().nodes] == ["True"]
    _crash(lab)
    lab.down()
    assert everything_of(lab.name) == []


def test_up_that_was_killed_is_no_obstacle(make_lab: LabMaker) -> None:
    lab = make_lab("a")
    argv = [sys.executable, "-m", "edgelab", "up", "--name", lab.name]
    with subprocess.Popen(argv, stderr=subprocess.PIPE, text=True, start_new_session=True) as up:
        assert up.stderr
        assert any("starting the control plane" in line for line in up.stderr)
        wait_for(lambda: len(network.lab_namespaces(lab.name)) == 2)
        os.killpg(up.pid, signal.SIGKILL)
    with pytest.raises(LabError, match="is not up"):
        lab.status()

    lab.up(EMPTY)
    lab.down()
    assert everything_of(lab.name) == []


def test_lab_outlives_who_started_it(make_lab: LabMaker) -> None:
    lab = make_lab("a")
    argv = [sys.executable, "-m", "edgelab", "up", "--nodes", "0", "--name", lab.name]
    subprocess.run(argv, check=True, start_new_session=True, capture_output=True)

    assert "NAME" not in lab.kubectl("get", "namespaces", "-o", "name")
    with pytest.raises(LabError, match="is up already"):
        lab.up(EMPTY)


def test_two_labs_do_not_meet(make_lab: LabMaker) -> None:
    one, two = make_lab("a"), make_lab("b")
    one.up(edge_nodes(1))
    two.up(edge_nodes(1))
    assert one.address("edge-1") != two.address("edge-1")
    one.kubectl("create", "namespace", "mine")
    assert "mine" not in two.kubectl("get", "namespaces", "-o", "name")
    connect = f"import socket; socket.create_connection(({two.address('edge-1')!r}, 10250), timeout=1)"
    assert one.exec_on("edge-1", ["python3", "-c", connect]).returncode != 0

    one.down()
    apply(two, "default", restricted_pod("p", "edge-1", SLEEP))
    wait_running(two, "default", "p")


def _crash(lab: Lab) -> None:
    """Kill what holds each machine, as the kernel does when memory runs out."""
    for space in network.lab_namespaces(lab.name):
        for pid in machines.processes_in(space):
            if machines.inner_numbers(pid) == [pid]:
                machines.kill(pid)


def _block(lab: Lab) -> str:
    record = lab.files.load()
    assert record
    return str(record.addresses.network)
