"""Jobs on KubeEdge nodes: the example to its end, and one whose nodes lose the cloud.

The tests of the second job share it. Every one finds the whole group training and leaves it so; then the
journals that its members wrote are audited.
"""

import re
import signal
import time
from collections.abc import Iterator

import pytest

from benchmarks.audit import audit
from benchmarks.bed import Bed
from benchmarks.pods_kept import PodsKept, bystander_evicted, start_bystander
from benchmarks.waiting import wait_for
from edgelab import machines
from edgelab.demo.install import EXAMPLE, make_namespace
from edgelab.demo.summary import ACCURACY_GOAL, model_file
from edgelab.lab import Lab
from edgetrain_protocol.status import JobStatus, NodeState
from tests.kubeedge.conftest import NODES
from tests.support.pods import get

pytestmark = pytest.mark.lab

SAMPLES = 2000
NAMESPACE = "life"


@pytest.fixture(scope="module")
def job(lab: Lab, operator: None) -> Iterator[Bed]:
    make_namespace(lab, NAMESPACE)
    bed = Bed(lab, list(NODES), namespace=NAMESPACE)
    storage = {"checkpoint": {"claim": {"size": "64Mi"}}}
    bed.train("--samples", str(SAMPLES), "--epochs", "100000", storage=storage)
    yield bed
    # The workers are heard long before cloudcore has its nodes back, and deletions go by way of it.
    wait_for(lambda: all(view.ready == "True" for view in lab.status().nodes), 180, "all nodes to be Ready")
    bed.end()
    lab.kubectl("delete", "namespace", NAMESPACE, "--wait=false")


@pytest.fixture
def training(job: Bed) -> Iterator[Bed]:
    job.wait_training(len(job.nodes))
    kept = PodsKept(job)
    yield job
    job.lab.heal()
    job.wait_training(len(job.nodes), seconds=180)
    kept.look()
    assert (kept.lost, kept.most) == (set(), 1)
    found = audit(job.journal.read(), SAMPLES)
    assert found.steps > 0
    assert found.harm == 0, found


def follower(job: Bed) -> str:
    return next(node for node in job.nodes if node != job.aggregator())


def trains(job: Bed, node: str, since: float) -> bool:
    """Whether the node took part in a step of the whole group that was committed after `since`."""
    steps = (step for step in job.journal.read() if step.node == node and step.at > since)
    return any(step.members == len(job.nodes) for step in steps)


def starts(job: Bed, node: str) -> int:
    """How often the trainer's container has been started, as the node itself knows."""
    logs = job.lab.node(node).pod_logs.glob(f"{job.namespace}_*/trainer/*.log")
    return max(int(log.stem) for log in logs)


def heard(job: Bed) -> bool:
    """Whether the operator hears any of them."""
    return any(node.state is NodeState.TRAINING for node in job.status().nodes)


def edgecore_of(lab: Lab, node: str) -> int:
    """Its process, by this machine's number."""
    found = (p for p in machines.processes_in(lab.netns(node)) if machines.name_of(p) == "edgecore")
    return next(found, 0)


def test_the_example_trains_to_its_end(lab: Lab, operator: None, namespace: str) -> None:
    lab.kubectl("-n", namespace, "apply", "-f", EXAMPLE)

    def over() -> JobStatus | None:
        status = JobStatus.model_validate(get(lab, namespace, "etj", "digits").get("status", {}))
        return status if status.completion_time else None

    ended = wait_for(over, 300, "the example to end", every=1)
    assert {node.node for node in ended.nodes if node.state is NodeState.FINISHED} == set(NODES)
    assert model_file(lab, namespace, ended).stat().st_size > 0
    # Not by `kubectl logs`, which would need KubeEdge's tunnel.
    logs = [log for node in NODES for log in lab.node(node).pod_logs.glob(f"{namespace}_*/trainer/*")]
    printed = re.findall(r"held-out accuracy: ([0-9.]+)", "".join(log.read_text() for log in logs))
    assert min(map(float, printed)) >= ACCURACY_GOAL


def test_a_node_without_the_cloud_trains_on_with_its_site(training: Bed) -> None:
    cut_off, kept = follower(training), PodsKept(training)
    start_bystander(training, cut_off, tolerated=5)
    training.lab.offline(cut_off)
    # Kubernetes has seen the node dark by now, and would have taken the worker's pod too.
    bystander_evicted(training, 120)
    dark = time.time()
    kept.look_until(dark + 10)
    assert trains(training, cut_off, dark + 5)
    assert (kept.lost, kept.most) == (set(), 1)


def test_a_site_without_the_cloud_trains_on(training: Bed) -> None:
    training.lab.offline(*training.nodes)
    began = time.time()
    wait_for(lambda: all(trains(training, node, began + 15) for node in training.nodes), 60)


def test_edgecore_that_restarts_without_the_cloud_leaves_the_pod_alone(training: Bed) -> None:
    lab, cut_off = training.lab, follower(training)
    lab.offline(cut_off)
    program, before = training.program_pid(cut_off), edgecore_of(lab, cut_off)
    machines.kill(before)
    wait_for(lambda: edgecore_of(lab, cut_off) not in (0, before), 30, "edgecore to start again")
    began = time.time()
    wait_for(lambda: trains(training, cut_off, began + 20), 60, f"{cut_off} to train with the others")
    assert training.program_pid(cut_off) == program


def test_a_container_that_dies_without_the_cloud_comes_back(training: Bed) -> None:
    """From what the node has: pod, token and authorities by edgecore, the plan on the pod's volume."""
    cut_off = follower(training)
    training.lab.offline(cut_off)
    before = starts(training, cut_off)
    began = training.signal_pod(cut_off, signal.SIGKILL)
    training.goes_on_without(cut_off, began, seconds=20)
    wait_for(lambda: starts(training, cut_off) > before, 60, "the container to start again")
    # The group has left it, and only the operator adds to a group.
    training.lab.heal()
    wait_for(lambda: trains(training, cut_off, began), 60, f"{cut_off} to be taken back")


def test_a_node_that_starts_again_without_the_cloud_brings_its_pod_back(training: Bed) -> None:
    cut_off = follower(training)
    training.lab.offline(cut_off)
    before, began = starts(training, cut_off), time.time()
    training.lab.node_kill(cut_off)
    training.goes_on_without(cut_off, began, seconds=20)
    training.lab.node_start(cut_off)
    wait_for(lambda: starts(training, cut_off) > before, 60, "the container to start again")


def test_a_site_without_the_cloud_takes_its_own_back(training: Bed) -> None:
    """Nobody tells the operator of a loss, and so the plan stays as it was, with the member in it."""
    lost = follower(training)
    training.lab.offline(*training.nodes)
    wait_for(lambda: not heard(training), 60, "the operator to hear nobody")
    began = training.signal_pod(lost, signal.SIGKILL)
    training.goes_on_without(lost, began, seconds=20)
    wait_for(lambda: trains(training, lost, began), 60, f"{lost} to train again")


def test_workers_on_their_nodes_own_network_train(lab: Lab, operator: None) -> None:
    """As where pods of different nodes cannot reach one another. `restricted` forbids it."""
    name = "on-the-host"
    lab.kubectl("create", "namespace", name)
    bed = Bed(lab, list(NODES), namespace=name)
    bed.train("--samples", str(SAMPLES), template={"spec": {"hostNetwork": True}})
    addresses = {node: pod["status"]["podIP"] for node, pod in bed.pods().items()}
    assert addresses == {node: lab.address(node) for node in NODES}
    bed.end()
    lab.kubectl("delete", "namespace", name, "--wait=false")
