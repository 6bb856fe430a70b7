"""When a job ends, on a real API server, by what kubelets write into pods."""

from collections.abc import Iterator
from typing import Any

import pytest

from edgetrain_operator.core.hindrances import PATIENCE_SECONDS
from edgetrain_operator.core.job_plan import JobPlan
from edgetrain_operator.core.naming import worker_name
from edgetrain_protocol.report import Formation, TrainerState
from tests.support.apiserver import ApiServer
from tests.support.objects import drop_nodes, get, items, job, make_node, patch_status, program
from tests.support.replicas import Replica, condition, pod_on, settle, with_replicas
from tests.support.scripted_fleet import ScriptedFleet


@pytest.fixture(autouse=True)
def _bare(api: ApiServer, namespace: str) -> Iterator[None]:
    drop_nodes(api)
    program(api, namespace, "main.py")
    yield
    drop_nodes(api)


def running(api: ApiServer, namespace: str, *nodes: str, **run_policy: Any) -> ScriptedFleet:
    """A job whose workers are all there."""
    for node in nodes:
        make_node(api, node)
    api.apply(job(namespace, runPolicy=run_policy))
    fleet = ScriptedFleet()
    settle(api, fleet, namespace)
    return fleet


def kubelet_says(api: ApiServer, namespace: str, node: str, **status: Any) -> None:
    name = pod_on(api, namespace, node)["metadata"]["name"]
    patch_status(api, "pod", name, namespace, {"status": status})


def crash(api: ApiServer, namespace: str, node: str, code: int, restarts: int = 1) -> None:
    trainer = {"name": "trainer", "image": "i", "imageID": "i", "ready": False, "restartCount": restarts}
    end = {"terminated": {"exitCode": code, "reason": "Error", "message": "ProgramFailed: it broke"}}
    waits = {"lastState": end, "state": {"waiting": {"reason": "CrashLoopBackOff"}}}
    kubelet_says(api, namespace, node, phase="Running", containerStatuses=[{**trainer, **waits}])


def test_failure_rules_tell_what_is_ignored_from_what_ends_the_job(api: ApiServer, namespace: str) -> None:
    rules = [
        {"action": "Ignore", "onExitCodes": {"operator": "In", "values": [3]}},
        {"action": "FailJob", "onExitCodes": {"operator": "In", "values": [3, 42]}},
    ]
    fleet = running(api, namespace, "edge-a", "edge-b", backoffLimit=0, failureRules=rules)
    crash(api, namespace, "edge-a", 3)
    settle(api, fleet, namespace)
    assert condition(api, namespace, "Failed")["status"] == "False"
    assert get(api, "etj", "digits", namespace)["status"]["failures"] == 0
    crash(api, namespace, "edge-b", 42)
    settle(api, fleet, namespace)
    failed = condition(api, namespace, "Failed")
    assert (failed["status"], failed["reason"]) == ("True", "FailureRule")
    assert failed["message"].startswith("edge-b: ProgramFailed: it broke (exit code 42)")
    assert [e["reason"] for e in items(api, "events", namespace)].count("FailureRule") == 1


def test_an_eviction_is_no_failure_and_its_worker_gets_another_pod(api: ApiServer, namespace: str) -> None:
    fleet = running(api, namespace, "edge-a", backoffLimit=0)
    before = pod_on(api, namespace, "edge-a")["metadata"]["name"]
    away = {"type": "DisruptionTarget", "status": "True", "reason": "TerminationByKubelet"}
    kubelet_says(api, namespace, "edge-a", phase="Failed", reason="Evicted", conditions=[away])
    settle(api, fleet, namespace)
    assert condition(api, namespace, "Failed")["status"] == "False"
    assert pod_on(api, namespace, "edge-a")["metadata"]["name"] != before


def later(api: ApiServer, fleet: ScriptedFleet, namespace: str, seconds: float) -> None:
    """What an operator makes of it by a clock that is so far ahead."""

    async def look(replica: Replica) -> None:
        replica.ahead = seconds
        await replica.settle(namespace)

    with_replicas(api, fleet, look)


def waits(api: ApiServer, namespace: str, node: str, reason: str, message: str) -> None:
    trainer = {"name": "trainer", "image": "i", "imageID": "", "ready": False, "restartCount": 0}
    state = {"state": {"waiting": {"reason": reason, "message": message}}}
    kubelet_says(api, namespace, node, phase="Pending", containerStatuses=[{**trainer, **state}])


def test_a_job_whose_image_no_node_can_have_fails_and_one_of_two_fails_nothing(
    api: ApiServer, namespace: str
) -> None:
    fleet = running(api, namespace, "edge-a", "edge-b")
    said = "rpc error: code = NotFound desc = failed to resolve reference: not found"
    waits(api, namespace, "edge-a", "ErrImagePull", said)
    settle(api, fleet, namespace)
    later(api, fleet, namespace, PATIENCE_SECONDS + 5)
    assert condition(api, namespace, "Failed")["status"] == "False"
    waits(api, namespace, "edge-b", "ErrImagePull", said)
    settle(api, fleet, namespace)
    later(api, fleet, namespace, PATIENCE_SECONDS + 5)
    failed = condition(api, namespace, "Failed")
    assert (failed["status"], failed["reason"]) == ("True", "ImagePullFailed")
    assert failed["message"].endswith("waiting does not mend it: 0 nodes are left, spec.nodes.min is 1")


def test_a_job_without_room_waits_for_its_start_deadline(api: ApiServer, namespace: str) -> None:
    fleet = running(api, namespace, "edge-a", startDeadlineSeconds=600)
    room = {"type": "PodScheduled", "status": "False", "reason": "Unschedulable", "message": "no cpu"}
    kubelet_says(api, namespace, "edge-a", phase="Pending", conditions=[room])
    settle(api, fleet, namespace)
    later(api, fleet, namespace, 590)
    assert condition(api, namespace, "Failed")["status"] == "False"
    later(api, fleet, namespace, 601)
    failed = condition(api, namespace, "Failed")
    assert (failed["status"], failed["reason"]) == ("True", "StartDeadlineExceeded")
    assert "PodUnschedulable: edge-a: no cpu" in failed["message"]


def test_a_job_whose_metric_is_good_enough_ends_as_a_success(api: ApiServer, namespace: str) -> None:
    enough = [{"metric": {"name": "accuracy", "atLeast": 0.97}}, {"epochs": 1000}]
    fleet = running(api, namespace, "edge-a", stopWhen=enough)
    fleet.say(pod_on(api, namespace, "edge-a"))
    settle(api, fleet, namespace)
    plan, worker = plans_of(fleet)[-1], worker_name("edge-a")
    formation = Formation(
        **plan.slice_for(worker).history._asdict(),
        revision=plan.revision,
        number=1,
        aggregator=worker,
        members=(worker,),
    )

    def trains(step: int, accuracy: float) -> None:
        said = {"formation": formation, "step": step, "metrics": {"accuracy": accuracy}}
        fleet.say(pod_on(api, namespace, "edge-a"), TrainerState.TRAINING, **said)
        settle(api, fleet, namespace)

    trains(20, 0.9)
    assert not plans_of(fleet)[-1].finish
    trains(40, 0.98)
    assert plans_of(fleet)[-1].finish
    trains(60, 0.5)
    assert plans_of(fleet)[-1].finish, "another operator, and another number, take nothing back"
    assert condition(api, namespace, "Training")["reason"] == "Finishing"
    fleet.say(pod_on(api, namespace, "edge-a"), TrainerState.FINISHED, step=64, model="/models/m")
    settle(api, fleet, namespace)
    complete = condition(api, namespace, "Complete")
    assert (complete["status"], complete["reason"]) == ("True", "StopConditionMet")
    assert complete["message"].startswith("accuracy is 0.98, runPolicy.stopWhen says atLeast: 0.97; ")
    assert get(api, "etj", "digits", namespace)["status"]["model"] == "edge-a:/models/m"
    assert "StopConditionMet" in {event["reason"] for event in items(api, "events", namespace)}


def plans_of(fleet: ScriptedFleet) -> list[JobPlan]:
    """Of its only job, as they were served."""
    (plans,) = fleet.plans.values()
    return plans
