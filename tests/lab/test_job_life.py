"""One job of four workers in the lab through all that can befall it: nothing is lost, nothing comes twice.

Every test finds the whole group training and leaves it so; then the journals that its members wrote are
audited. The tests share the job, and so each finds what those before it left.
"""

import os
import shutil
import signal
import subprocess
import time
from collections.abc import Iterator
from contextlib import contextmanager

import pytest

from benchmarks.audit import audit
from benchmarks.bed import Bed
from benchmarks.steps import first_without
from benchmarks.waiting import wait_for
from edgelab.demo.install import make_namespace, upgrade_operator
from edgelab.lab import Lab
from edgetrain_protocol import names
from edgetrain_protocol.status import ConditionType
from tests.lab.conftest import NodeFactory
from tests.support.pods import suspend
from tests.support.release import HERE, leader, living_leader, upgrade

pytestmark = pytest.mark.lab

LINKS = {"edge-1": "100mbit", "edge-2": "50mbit", "edge-3": "50mbit", "edge-4": "20mbit"}
SAMPLES = 2000
POD_SECONDS = 3.0
"""From a node's Ready to its worker pod."""


@pytest.fixture(scope="module")
def job(lab: Lab, operator: str) -> Iterator[Bed]:
    make_namespace(lab, "life")
    for node, link in LINKS.items():
        lab.link(node, link)
    bed = Bed(lab, list(LINKS), namespace="life")
    storage = {"checkpoint": {"claim": {"size": "64Mi"}}}
    bed.train("--samples", str(SAMPLES), "--epochs", "100000", storage=storage)
    yield bed
    bed.end()
    lab.kubectl("delete", "namespace", "life", "--wait=false")
    for node in LINKS:
        lab.link(node, "10gbit")


@pytest.fixture
def training(job: Bed) -> Iterator[Bed]:
    job.wait_training(len(job.nodes))
    yield job
    job.lab.heal()
    job.wait_training(len(job.nodes))
    sound(job)


def sound(job: Bed) -> None:
    found = audit(job.journal.read(), SAMPLES)
    assert found.steps > 0
    assert found.harm == 0, found


def follower(job: Bed) -> str:
    return next(node for node in job.nodes if node != job.aggregator())


def revision(job: Bed) -> int:
    return job.status().plan.revision


def degraded(job: Bed) -> str:
    """Why the job says that it is; empty where it is not."""
    conditions = {c.type: c for c in job.status().conditions}
    found = conditions.get(ConditionType.DEGRADED)
    return found.reason if found and found.status == "True" else ""


def test_a_killed_program_comes_back_into_the_group(training: Bed) -> None:
    before = training.pod_uids()
    lost = follower(training)
    training.goes_on_without(lost, training.signal_program(lost), seconds=20)
    training.wait_training(len(training.nodes))
    assert training.pod_uids() == before


def test_the_group_outlives_its_aggregator(training: Bed) -> None:
    lost = training.aggregator()
    training.goes_on_without(lost, training.signal_program(lost), seconds=20)


def test_a_hung_member_is_left_and_taken_back(training: Bed) -> None:
    lost = follower(training)
    began = training.signal_pod(lost, signal.SIGSTOP)
    try:
        training.goes_on_without(lost, began, seconds=20)
    finally:
        training.signal_pod(lost, signal.SIGCONT)


def test_a_power_cut_pauses_one_worker_and_keeps_its_pod(training: Bed) -> None:
    lost, before = follower(training), training.pod_uids()
    began = time.time()
    training.lab.node_kill(lost)
    try:
        training.goes_on_without(lost, began, seconds=20)
    finally:
        training.lab.node_start(lost)
    training.wait_training(len(training.nodes))
    assert training.pod_uids() == before


def test_a_worker_whose_volumes_are_emptied_trains_on_and_says_so(training: Bed) -> None:
    """As KubeEdge's agent does when it starts again (docs/kubeedge.md)."""
    bereft, before = follower(training), training.pod_uids()
    pods = training.lab.node(bereft).var / "lib" / "kubelet" / "pods"
    for path in (pods / before[bereft] / "volumes" / "kubernetes.io~empty-dir").glob("*/*"):
        shutil.rmtree(path) if path.is_dir() else path.unlink()
    # A loss, and so a vote that it cannot write down.
    lost = next(n for n in training.nodes if n not in (bereft, training.aggregator()))
    training.goes_on_without(lost, training.signal_program(lost), seconds=20)
    wait_for(lambda: degraded(training) == "VolumesGone", 20, "the job to say so")
    training.wait_training(len(training.nodes))
    assert training.pod_uids() == before
    pod = training.pods()[bereft]["metadata"]["name"]
    training.lab.kubectl("-n", training.namespace, "delete", "pod", pod, "--wait=false")
    wait_for(lambda: training.pod_uids().get(bereft) not in (None, before[bereft]), 60, "another pod")
    training.wait_training(len(training.nodes))
    wait_for(lambda: degraded(training) == "", 20, "the job to be sound")


def test_a_partitioned_node_waits_and_the_others_go_on(training: Bed) -> None:
    lost = follower(training)
    began = time.time()
    training.lab.partition(lost)
    training.goes_on_without(lost, began, seconds=20)
    alone = max(step.at for step in training.journal.read() if step.node == lost)
    time.sleep(2)
    assert max(step.at for step in training.journal.read() if step.node == lost) == alone
    training.lab.heal(lost)


def test_a_connection_that_dies_without_a_word_is_told_by_its_bytes(training: Bed) -> None:
    """As when a NAT forgets it: no heartbeat is missing, and no end is told."""
    lost = follower(training)
    with silenced(training, lost, training.aggregator()):
        training.goes_on_without(lost, time.time(), seconds=10)
        training.wait_training(len(training.nodes))


@pytest.mark.parametrize("aggregates", [False, True])
def test_who_is_heard_but_carries_no_data_is_put_out(training: Bed, aggregates: bool) -> None:
    """A tunnel that loses large packets: of a member, and of the aggregator."""
    lost = training.aggregator() if aggregates else follower(training)
    began = time.time()
    training.lab.cut(lost, above=600, only="data")
    training.goes_on_without(lost, began, seconds=10)
    training.lab.heal(lost)


def test_a_node_joins_and_leaves(training: Bed, new_node: NodeFactory) -> None:
    added = new_node(link="50mbit", labels={"edgetrain.io/test": "joiner"}).name
    ready_at = time.time()
    wait_for(lambda: training.pods().get(added), POD_SECONDS, f"a worker pod on {added}")
    assert time.time() - ready_at < POD_SECONDS
    training.watch(added)
    whole = len(training.nodes) + 1
    training.wait_training(whole)
    left_at = time.time()
    training.lab.node_remove(added)
    wait_for(lambda: first_without(training.journal.read(), added, left_at, whole), 20, "the others to go on")


def test_training_needs_no_operator(training: Bed) -> None:
    before, seen = training.pod_uids(), revision(training)
    lost = follower(training)
    training.scale_operator(0)
    try:
        training.goes_on_without(lost, training.signal_program(lost), seconds=20)
    finally:
        training.scale_operator(1)
    training.wait_training(len(training.nodes))
    assert training.pod_uids() == before
    assert revision(training) >= seen


def test_a_second_operator_takes_over(training: Bed) -> None:
    """The leader's power is cut in mid-job; the other replica hears the reports from then on."""
    upgrade(training.lab, 2)
    try:
        step = training.status().progress.step
        training.lab.kubectl(
            *HERE, "delete", "pod", living_leader(training.lab), "--grace-period=0", "--force"
        )
        wait_for(lambda: training.status().progress.step > step, 60, "progress to be told again")
    finally:
        upgrade(training.lab, 1)


def test_an_upgrade_replaces_the_operator_and_no_worker(training: Bed) -> None:
    before, step, led = training.pod_uids(), training.status().progress.step, living_leader(training.lab)
    upgrade_operator(training.lab, "--set", "operator.logLevel=DEBUG")
    try:
        wait_for(lambda: leader(training.lab) not in ("", led), 30, "another leader")
        wait_for(lambda: training.status().progress.step > step, 60, "progress to be told again")
        assert training.pod_uids() == before
    finally:
        upgrade_operator(training.lab, "--set", "operator.logLevel=INFO")


def test_the_aggregator_moves_off_a_choked_link(training: Bed) -> None:
    choked = training.aggregator()
    training.lab.link(choked, "8mbit")
    try:
        wait_for(lambda: training.aggregator() != choked, 60, "the aggregator to move", every=0.5)
    finally:
        training.lab.link(choked, LINKS[choked])


def test_a_site_cut_off_goes_on_by_succession(training: Bed) -> None:
    training.lab.partition(*training.nodes)
    lost = training.aggregator()
    pid = training.program_pid(lost)
    began = time.time()
    os.kill(pid, signal.SIGKILL)
    training.goes_on_without(lost, began, seconds=20)


def test_all_pods_go_and_the_job_resumes_where_it_was(job: Bed) -> None:
    """Suspended: the checkpoint is durable first, so that nothing that was committed is trained again."""
    job.wait_training(len(job.nodes))
    suspend(job.lab, job.namespace, job.job, True)
    # Kubernetes' own garbage collector takes a minute over the pod of a node that was removed. The logs go
    # with the pods: they are read until then.
    wait_for(lambda: job.journal.read() and not job.pods(), 120, "the pods to go")
    ended = {step.process for step in job.journal.steps}
    last = max(step.step for step in job.journal.steps)
    assert job.status().progress.durable_step == last
    suspend(job.lab, job.namespace, job.job, False)
    job.wait_training(len(job.nodes))
    assert min(step.step for step in job.journal.read() if step.process not in ended) == last + 1
    sound(job)


@contextmanager
def silenced(job: Bed, node: str, peer: str) -> Iterator[None]:
    """What the group's connections between two nodes carry is dropped; new ones, and all others, work."""
    address = job.pods()[peer]["status"]["podIP"]
    ports = group_connections(job.program_pid(node), address)
    assert ports
    rules = [
        f"add rule inet silence forward {rule} drop"
        for own, theirs in ports
        for rule in (
            f"ip daddr {address} tcp sport {own} tcp dport {theirs}",
            f"ip saddr {address} tcp sport {theirs} tcp dport {own}",
        )
    ]
    chain = "add chain inet silence forward { type filter hook forward priority 0; }"
    in_node(job.lab, node, "nft", "; ".join(["add table inet silence", chain, *rules]))
    try:
        yield
    finally:
        in_node(job.lab, node, "nft", "delete table inet silence")


def in_node(lab: Lab, node: str, *command: str) -> None:
    done = lab.exec_on(node, command)
    assert done.returncode == 0, done.stderr


def group_connections(pid: int, address: str) -> list[tuple[int, int]]:
    """Own and other port of a program's connections to a peer's program."""
    command = ["nsenter", "-t", str(pid), "-n", "ss", "-Htn", "state", "established", "dst", address]
    lines = subprocess.run(command, capture_output=True, text=True, check=True).stdout.splitlines()
    ports = [tuple(int(end.rpartition(":")[2]) for end in line.split()[2:4]) for line in lines]
    served = {names.CONTROL_PORT, names.PROBE_PORT, names.STATE_PORT, names.ROUNDS_PORT}
    return [(own, theirs) for own, theirs in ports if not served & {own, theirs}]
