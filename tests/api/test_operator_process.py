"""The operator's process on a real API server: watches, queue, fleet API, Lease and take-overs."""

import re
import ssl
import subprocess
import sys
import time
import urllib.error
import urllib.request
from collections.abc import Callable, Iterator
from pathlib import Path
from typing import Any
from urllib.parse import urlparse

import pytest

from benchmarks.programs import strangers
from benchmarks.resident import resident
from benchmarks.waiting import wait_for
from edgetrain_protocol.plan import Plan
from tests.support.apiserver import ApiServer
from tests.support.fake_worker import FakeWorker
from tests.support.forwarder import forwarding
from tests.support.objects import drop_nodes, get, items, job, make_node, program, set_ready
from tests.support.operator_process import OperatorProcess, operator_process

STRANGERS = Path(strangers.__file__)
MOST_MB = 200
"""Of an operator that a crowd is at: 260 where what strangers leave is not freed, 130 where it is."""


@pytest.fixture(autouse=True)
def _no_nodes(api: ApiServer, namespace: str) -> Iterator[None]:
    drop_nodes(api)
    program(api, namespace, "main.py")
    yield
    drop_nodes(api)


Hire = Callable[[OperatorProcess, int], list[FakeWorker]]


@pytest.fixture
def hire(api: ApiServer, namespace: str, tmp_path: Path) -> Iterator[Hire]:
    """A worker in each of the job's pods, once there are so many."""
    hired: list[FakeWorker] = []

    def hire(operator: OperatorProcess, count: int) -> list[FakeWorker]:
        pods = wait_for(lambda: found if len(found := items(api, "pods", namespace)) == count else None)
        have = {worker.pod["metadata"]["uid"] for worker in hired}
        new = [pod for pod in pods if pod["metadata"]["uid"] not in have]
        hired.extend(FakeWorker(api, pod, operator.fleet_port, tmp_path) for pod in new)
        return hired

    yield hire
    for worker in hired:
        worker.close()


def plan_of(worker: FakeWorker, members: int, revision: int = 0) -> Plan:
    """The worker's next plan that has so many members."""
    deadline = time.monotonic() + 15
    while time.monotonic() < deadline:
        assert worker.client
        served = worker.client.poll_plan(1, revision, wait=5)
        if served and served.plan.groups and len(served.plan.groups[0].members) == members:
            return served.plan
        revision = served.plan.revision if served else revision
    raise AssertionError(f"no plan with {members} members")


def status(api: ApiServer, namespace: str) -> dict[str, Any]:
    found: dict[str, Any] = get(api, "etj", "digits", namespace).get("status", {})
    return found


def lease(api: ApiServer, namespace: str) -> dict[str, Any]:
    found: dict[str, Any] = get(api, "lease", "edgetrain-operator", namespace)["spec"]
    return found


def reconciles(operator: OperatorProcess) -> float:
    return sum(
        float(n) for n in re.findall(r"edgetrain_operator_reconciles_total\{.*\} (\S+)", operator.metrics())
    )


def test_pod_within_three_seconds_of_a_node_being_ready(
    api: ApiServer, namespace: str, tmp_path: Path
) -> None:
    with operator_process(api, namespace, tmp_path) as operator:
        wait_for(operator.leads)
        make_node(api, "edge-a", ready=False)
        api.apply(job(namespace))
        wait_for(lambda: status(api, namespace))
        assert items(api, "pods", namespace) == []
        began = time.monotonic()
        set_ready(api, "edge-a")
        (pod,) = wait_for(lambda: items(api, "pods", namespace))
        assert time.monotonic() - began < 3.0
        assert pod["metadata"]["annotations"]["edgetrain.io/node"] == "edge-a"
        assert operator.terminate() == 0


def test_from_reports_to_a_plan_and_from_a_loss_to_the_next(
    api: ApiServer, namespace: str, tmp_path: Path, hire: Hire
) -> None:
    for node in ("edge-a", "edge-b", "edge-c"):
        make_node(api, node)
    api.apply(job(namespace))
    with operator_process(api, namespace, tmp_path) as operator:
        all_of_them = hire(operator, 3)
        for worker in all_of_them:
            worker.say()
        plan = plan_of(all_of_them[0], 3)
        assert plan.revision == 1
        names = [worker.name for worker in all_of_them]
        for worker in all_of_them:
            worker.train(plan, 1, names, [], step=3)
        found = wait_for(
            lambda: s if (s := status(api, namespace)).get("workers", {}).get("training") == 3 else None
        )
        assert found["phase"] == "Training"
        assert found["aggregator"] in ("edge-a", "edge-b", "edge-c")
        began = time.monotonic()
        for worker in all_of_them[:2]:
            worker.train(plan, 2, names[:2], names[2:], step=4)
        after = plan_of(all_of_them[0], 2, plan.revision)
        assert time.monotonic() - began < 5.0
        assert after.lineage == 1 and after.revision > plan.revision


def test_a_steady_job_is_left_in_peace(api: ApiServer, namespace: str, tmp_path: Path, hire: Hire) -> None:
    """Its own writes of status wake nobody."""
    make_node(api, "edge-a")
    api.apply(job(namespace))
    with operator_process(api, namespace, tmp_path) as operator:
        (worker,) = hire(operator, 1)
        worker.say()
        plan = plan_of(worker, 1)
        for step in (1, 2):
            worker.train(plan, 1, [worker.name], [], step=step)
            time.sleep(0.5)
        before, began = reconciles(operator), time.monotonic()
        for step in range(3, 9):
            worker.train(plan, 1, [worker.name], [], step=step)
            time.sleep(1.0)
        assert reconciles(operator) - before <= 1 + (time.monotonic() - began) / 2.5


def test_a_standby_takes_over_and_the_plan_goes_on(
    api: ApiServer, namespace: str, tmp_path: Path, hire: Hire
) -> None:
    for node in ("edge-a", "edge-b"):
        make_node(api, node)
    api.apply(job(namespace))
    with (
        operator_process(api, namespace, tmp_path, "operator-a") as first,
        operator_process(api, namespace, tmp_path, "operator-b") as second,
    ):
        leader, standby = (
            (first, second)
            if wait_for(lambda: first.leads() or second.leads()) and first.leads()
            else (second, first)
        )
        both = hire(leader, 2)
        for worker in both:
            worker.dial(standby.fleet_port)
            worker.say()
        plan = plan_of(both[0], 2)
        uids = {pod["metadata"]["uid"] for pod in items(api, "pods", namespace)}
        began = time.monotonic()
        leader.kill()
        wait_for(standby.leads, seconds=25)
        assert time.monotonic() - began < 20.0
        names = [worker.name for worker in both]
        # One says that the other is lost; just after a take-over, its silence says nothing.
        both[0].train(plan, 2, names[:1], names[1:], step=9)
        assert both[0].client is not None
        other = both[0].client.poll_plan(plan.lineage, plan.revision, wait=4)
        assert other is None or len(other.plan.groups[0].members) == 2
        make_node(api, "edge-c")
        for worker in both:
            worker.train(plan, 3, names, [], step=9)
        pods = wait_for(lambda: p if len(p := items(api, "pods", namespace)) == 3 else None)
        assert uids < {pod["metadata"]["uid"] for pod in pods}
        hire(standby, 3)[-1].say()
        assert plan_of(both[0], 3, plan.revision).revision > plan.revision


def test_the_leader_tells_of_jobs_and_of_what_their_workers_report(
    api: ApiServer, namespace: str, tmp_path: Path, hire: Hire
) -> None:
    make_node(api, "edge-a")
    api.apply(job(namespace))
    with (
        operator_process(api, namespace, tmp_path, "operator-a") as leader,
        operator_process(api, namespace, tmp_path, "operator-b") as standby,
    ):
        wait_for(lambda: leader.leads() or standby.leads())
        if standby.leads():
            leader, standby = standby, leader
        (worker,) = hire(leader, 1)
        worker.dial(standby.fleet_port)
        worker.say()
        worker.train(plan_of(worker, 1), 1, [worker.name], [], step=3)
        told = f'edgetrain_step{{job_name="digits",job_namespace="{namespace}",node="edge-a"}} 3.0'
        wait_for(lambda: told in leader.workers())
        assert (
            f'edgetrain_job_min_workers{{job_name="digits",job_namespace="{namespace}"}}' in leader.workers()
        )
        assert 'edgetrain_node_ready{node="edge-a"} 1.0' in leader.workers()
        assert "edgetrain_operator_jobs 1.0" in leader.metrics()
        assert "edgetrain_operator_nodes 1.0" in leader.metrics()
        assert standby.workers() == ""
        assert 'edgetrain_operator_fleet_requests_total{code="2xx",route="reports"} 2.0' in standby.metrics()


@pytest.mark.attack(2)
def test_a_crowd_does_not_take_all_files_of_an_operator_that_may_open_few(
    api: ApiServer, namespace: str, tmp_path: Path
) -> None:
    with operator_process(api, namespace, tmp_path, files="1024") as operator:
        words = ["127.0.0.1", str(operator.fleet_port), "--count=3000", "--seconds=60"]
        command = [sys.executable, str(STRANGERS), *words]
        with subprocess.Popen(command, stdout=subprocess.PIPE, text=True) as crowd:
            try:
                assert crowd.stdout
                assert any(int(line.split()[-2]) >= 3000 for line in crowd.stdout)
                # Whom the crowd puts out before it has spoken asks again, as workers do.
                wait_for(lambda: answers(operator.fleet_port), 20)
            finally:
                crowd.kill()
        assert operator.healthy()
        assert resident([operator.process.pid]) < MOST_MB
        assert "out of system resource" not in operator.log.read_text()


def answers(fleet_port: int) -> bool:
    """Whether a stranger is told that it has to show a token."""
    asked = f"https://127.0.0.1:{fleet_port}/v1/jobs"
    try:
        urllib.request.urlopen(asked, timeout=5, context=ssl._create_unverified_context())
    except urllib.error.HTTPError as refused:
        return refused.code == 401
    except OSError:
        return False
    raise AssertionError("whoever asks is served")


def test_a_leader_that_ends_gives_the_lease_back(api: ApiServer, namespace: str, tmp_path: Path) -> None:
    with operator_process(api, namespace, tmp_path, "operator-a") as first:
        wait_for(first.leads)
        with operator_process(api, namespace, tmp_path, "operator-b") as second:
            assert not second.leads()
            assert lease(api, namespace)["holderIdentity"].startswith("operator-a/")
            began = time.monotonic()
            assert first.terminate() == 0
            wait_for(second.leads)
            assert time.monotonic() - began < 6.0
            assert lease(api, namespace)["leaseTransitions"] == 1


def test_a_leader_that_cannot_reach_the_api_server_ends_in_time(
    api: ApiServer, namespace: str, tmp_path: Path
) -> None:
    """It must be gone before the Lease may be taken by another: 10 s after its last renewal."""
    url = urlparse(api.url)
    with forwarding(str(url.hostname), int(url.port or 443)) as way:
        kubeconfig = tmp_path / "kubeconfig"
        kubeconfig.write_text(api.kubeconfig.read_text().replace(api.url, f"https://127.0.0.1:{way.port}"))
        with operator_process(api, namespace, tmp_path, kubeconfig=str(kubeconfig)) as operator:
            wait_for(operator.leads)
            way.freeze()
            frozen = time.monotonic()
            assert operator.process.wait(12) == 1
            assert time.monotonic() - frozen < 10.0


def test_a_leader_that_slept_ends_when_it_wakes(api: ApiServer, namespace: str, tmp_path: Path) -> None:
    with (
        operator_process(api, namespace, tmp_path, "operator-a") as first,
        operator_process(api, namespace, tmp_path, "operator-b") as second,
    ):
        wait_for(lambda: first.leads() or second.leads())
        leader, standby = (first, second) if first.leads() else (second, first)
        leader.stop()
        wait_for(standby.leads, seconds=25)
        leader.wake()
        assert leader.process.wait(10) == 1
        assert standby.leads()


def test_a_missing_setting_is_named(api: ApiServer, namespace: str, tmp_path: Path) -> None:
    with (
        pytest.raises(AssertionError, match="EDGETRAIN_OPERATOR_TRAINER_IMAGE is not set"),
        operator_process(api, namespace, tmp_path, TRAINER_IMAGE=""),
    ):
        pass
