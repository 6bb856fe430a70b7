"""Containers in a worker's pod that are not the operator's: a mesh's, an agent's, the job's own before it."""

from dataclasses import replace
from typing import Any

import pytest

from edgetrain_operator.core.lifecycle import WIND_DOWN_SECONDS
from edgetrain_operator.core.model import ContainerEnd, PodView
from edgetrain_operator.core.naming import worker_name
from edgetrain_operator.core.observe import pod_view
from edgetrain_operator.core.stored import StoredPlan
from edgetrain_operator.core.unheard import NOT_STARTED_SECONDS
from edgetrain_protocol.report import TrainerState
from tests.support.world import World, trained

Json = dict[str, Any]
RUNNING: Json = {"running": {}}
WAITS: Json = {"waiting": {"reason": "PodInitializing"}}
MESH: Json = {"name": "mesh-proxy", "image": "mesh:1", "state": RUNNING}
"""As Istio and Linkerd put it into pods where they do not use native sidecars."""


def ended(code: int, **more: Any) -> Json:
    return {"terminated": {"exitCode": code, "reason": "Completed" if code == 0 else "Error", **more}}


def seen(
    *containers: Json, inits: tuple[Json, ...] = (), spec: Json | None = None, phase: str = "Running"
) -> PodView:
    status = {"phase": phase, "containerStatuses": list(containers), "initContainerStatuses": list(inits)}
    meta = {"name": "p", "uid": "u", "annotations": {"edgetrain.io/node": "a"}}
    return pod_view({"metadata": meta, "spec": spec or {}, "status": status})


def trainer(state: Json, **more: Any) -> Json:
    return {"name": "trainer", "state": state, **more}


# --- beside the trainer


@pytest.mark.parametrize("order", [1, -1])
def test_a_pod_is_over_when_its_trainer_is_whatever_runs_on(order: int) -> None:
    pod = seen(*[MESH, trainer(ended(0))][::order], inits=({"name": "profiler", "state": RUNNING},))
    assert (pod.phase, pod.ended, pod.living, pod.lingers) == ("Succeeded", True, False, True)


def test_it_is_not_over_while_its_trainer_runs_or_will_again() -> None:
    profiler = {"name": "profiler", "state": RUNNING}
    assert seen(trainer(RUNNING), MESH).living
    assert seen(trainer(ended(1)), MESH).living, "the kubelet starts it again"
    assert seen(trainer(ended(0)), inits=(profiler,)).living, "the profiler still hands over its reports"
    assert seen(MESH).living, "nothing is known of it yet"


def test_what_becomes_of_others_is_not_the_workers_trouble() -> None:
    crashed = {**MESH, "state": {"waiting": {"reason": "ImagePullBackOff"}}, "lastState": ended(1)}
    pod = seen(trainer(RUNNING, restartCount=0), crashed)
    assert (pod.trouble, pod.ends, pod.crashes, pod.idle) == (None, (), 0, False)


def test_a_sidecar_that_keeps_the_trainer_from_starting_is_named_with_its_image() -> None:
    world = World.of("a")
    world.settle()
    stuck = {
        "name": "mesh-proxy",
        "image": "mesh:1",
        "state": {"waiting": {"reason": "ErrImagePull", "message": "no"}},
    }
    pod = seen(trainer(WAITS), inits=(stuck,), phase="Pending")
    world.change_pod("a", trouble=pod.trouble)
    world.settle()
    said = world.condition("Degraded").message
    assert "image mesh:1 cannot be had" in said and "container mesh-proxy" in said


@pytest.mark.parametrize("policy", ["Running", "All"])
def test_a_job_that_is_over_ends_pods_in_which_somebody_elses_container_runs_on(policy: str) -> None:
    world = trained("a", "b", runPolicy={"cleanPodPolicy": policy})
    for node in ("a", "b"):
        world.say(node, TrainerState.FINISHED)
        world.change_pod(node, phase="Succeeded", lingers=True)
    world.settle()
    assert world.condition("Complete").status == "True"
    world.pass_time(WIND_DOWN_SECONDS)
    world.settle()
    assert all(pod.deleting for pod in world.pods.values())


def test_a_worker_whose_trainer_ended_for_good_gets_another_pod_though_its_old_one_runs_on() -> None:
    world = trained("a", "b")
    world.change_pod("b", phase="Succeeded", lingers=True)
    world.settle()
    assert world.pod("b").attempt == 2
    assert [pod.deleting for pod in world.pods.values() if pod.node == "b" and pod.attempt == 1] == [True]


# --- before the trainer


def test_an_init_container_that_fails_is_named_with_its_last_words() -> None:
    failing = {"name": "fetch", "state": {"waiting": {"reason": "CrashLoopBackOff"}}, "restartCount": 3}
    failing["lastState"] = ended(2, message="no route to the data\n")
    done = {"name": "check", "state": ended(0), "lastState": ended(1)}
    pod = seen(trainer(WAITS), inits=({"name": "profiler", "state": RUNNING}, done, failing), phase="Pending")
    assert pod.ends == (ContainerEnd("fetch", "Error", 2, "no route to the data", 2),)
    assert (pod.crashes, pod.trouble) == (0, None)
    world = World.of("a")
    world.settle()
    world.change_pod("a", ends=pod.ends, preparing=pod.preparing)
    world.settle()
    degraded = world.condition("Degraded")
    assert degraded.reason == "InitContainerFailed"
    assert "fetch: no route to the data" in degraded.message and "initContainers" in degraded.message


def test_its_failures_are_forgotten_once_the_trainer_has_begun() -> None:
    failed = {"name": "fetch", "state": ended(0), "lastState": ended(2), "restartCount": 3}
    assert seen(trainer(RUNNING), inits=(failed,)).ends == ()


def test_words_of_many_containers_fit_into_a_workers_record() -> None:
    """A record that is too large could not be read again, and the plan with it."""
    world = World.of("a")
    world.settle()
    for number in range(8):
        world.change_pod("a", ends=(ContainerEnd(f"init-{number}", "Error", 1, "no", number),))
        world.settle()
    for container in ("trainer", "profiler", "pod"):
        world.change_pod("a", ends=(ContainerEnd(container, "Error", 1, "no"),))
        world.settle()
    stored = StoredPlan.from_wire(world.stored.to_document()).workers[worker_name("a")]
    assert set(stored.last_ends) == {"init", "trainer", "profiler", "pod"}


def test_a_long_preparation_is_told_and_not_taken_for_an_image() -> None:
    sidecar, fetch = {"name": "logs", "state": RUNNING}, {"name": "fetch", "state": RUNNING}
    spec = {"initContainers": [{"name": "logs", "restartPolicy": "Always"}, {"name": "fetch"}]}
    done = {"name": "check", "state": ended(0)}
    pod = seen(trainer(WAITS), inits=(sidecar, done, fetch), spec=spec, phase="Pending")
    assert pod.preparing == "fetch"
    assert replace(pod, preparing="") == seen(trainer({"waiting": {}}), phase="Pending")
    world = World.of("a")
    world.settle()
    world.change_pod("a", preparing=pod.preparing)
    world.pass_time(NOT_STARTED_SECONDS)
    world.settle()
    assert "waits for init container fetch" in world.line("a").message
