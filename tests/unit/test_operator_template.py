"""What a job says of its pods under core/v1's names, and what the pods come to."""

from dataclasses import replace

import pytest

from edgetrain.supervisor.settings import BadSetting
from edgetrain.supervisor.settings import Settings as SupervisorSettings
from edgetrain_operator.core.model import ContainerEnd, ContainerTrouble, Job
from edgetrain_operator.core.pods import worker_pod
from edgetrain_protocol.job import JobSpec
from edgetrain_protocol.names import OWN_VOLUMES, Env
from edgetrain_protocol.pods import EnvVar
from edgetrain_protocol.status import JobStatus
from tests.support.manifests import DEFAULTS, NODE, Json, containers, env, mounts, on, spec_of
from tests.support.world import World, trained

# --- how it ends


@pytest.mark.parametrize(
    ("template", "spec", "seconds", "for_the_program"),
    [
        ({}, {}, 30, 20),
        ({}, {"storage": {"checkpoint": {"claim": {}}}}, 120, 110),
        ({"terminationGracePeriodSeconds": 600}, {}, 600, 590),
        ({"terminationGracePeriodSeconds": 4}, {"storage": {"checkpoint": {"claim": {}}}}, 4, 2),
    ],
)
def test_a_program_has_nearly_all_of_its_pods_grace_for_a_last_checkpoint(
    template: Json, spec: Json, seconds: int, for_the_program: float
) -> None:
    made = spec_of(template, **spec)
    assert made["terminationGracePeriodSeconds"] == seconds
    told = {**env(containers(made)["trainer"]), Env.POD: "p", Env.POD_UID: "u", Env.POD_IP: "10.0.0.1"}
    read = SupervisorSettings.from_env({key: value for key, value in told.items() if value})
    assert read.stop_seconds == for_the_program


def test_a_supervisor_of_an_operator_from_before_has_what_it_had() -> None:
    told: dict[str, str] = {Env.WORKER: "w", Env.POD_UID: "u", Env.POD_IP: "10.0.0.1"}
    assert SupervisorSettings.from_env(told).stop_seconds == 20
    with pytest.raises(BadSetting, match="EDGETRAIN_GRACE_SECONDS='soon'"):
        SupervisorSettings.from_env({**told, Env.GRACE_SECONDS: "soon"})


def test_a_suspended_job_waits_for_its_members_as_long_as_their_pods_have() -> None:
    world = trained("a", "b", template={"spec": {"terminationGracePeriodSeconds": 300}})
    world.spec = {**world.spec, "suspend": True}
    world.settle()
    world.now += 299
    world.step()
    assert not any(pod.deleting for pod in world.pods.values())
    world.now += 2
    world.step()
    assert all(pod.deleting for pod in world.pods.values())


# --- memory that processes share


def test_loaders_may_hand_over_more_than_a_runtime_gives() -> None:
    spec = spec_of()
    assert {"name": "shared-memory", "emptyDir": {"medium": "Memory"}} in spec["volumes"]
    assert mounts(containers(spec)["trainer"])["/dev/shm"] == "shared-memory"
    assert "/dev/shm" not in mounts(containers(spec)["profiler"])


def test_a_job_that_mounts_its_own_there_has_that() -> None:
    own = {"name": "dshm", "emptyDir": {"medium": "Memory", "sizeLimit": "1Gi"}}
    mine = on("trainer", volumeMounts=[{"name": "dshm", "mountPath": "/dev/shm/"}])
    spec = spec_of({"volumes": [own], **mine})
    assert [v["name"] for v in spec["volumes"] if v.get("emptyDir")] == ["dshm"]
    assert mounts(containers(spec)["trainer"])["/dev/shm/"] == "dshm"
    assert "/dev/shm" not in mounts(containers(spec)["trainer"])


def test_all_volumes_of_the_operators_are_known_to_the_jobs_schema() -> None:
    remote = {"uri": "s3://bucket/x", "secret": "keys"}
    spec = spec_of(
        program={"source": remote}, storage={"data": remote, "checkpoint": remote, "model": remote}
    )
    assert {volume["name"] for volume in spec["volumes"]} == set(OWN_VOLUMES)


# --- what else runs in it


FETCH = {
    "name": "fetch",
    "image": "fetch:1",
    "command": ["get"],
    "args": ["it"],
    "env": [{"name": "FROM", "value": "there"}],
    "resources": {"limits": {"memory": "64Mi"}},
    "volumeMounts": [{"name": "cache", "mountPath": "/cache"}],
}


def test_containers_of_the_jobs_own_run_before_the_trainer_in_its_order() -> None:
    spec = spec_of(
        {
            "initContainers": [FETCH, {"name": "check"}],
            "volumes": [{"name": "cache", "emptyDir": {}}],
        },
        program={"image": "job:1", "source": {"configMap": {"name": "program"}}},
    )
    assert [c["name"] for c in spec["initContainers"]] == ["profiler", "fetch", "check"]
    _, fetch, check = spec["initContainers"]
    assert {key: fetch[key] for key in ("image", "command", "args", "resources")} == {
        key: FETCH[key] for key in ("image", "command", "args", "resources")
    }
    assert (check["image"], "command" in check, "restartPolicy" in check) == ("job:1", False, False)
    assert env(fetch)["FROM"] == "there" and env(fetch)[Env.NODE] == "edge-a"
    assert mounts(fetch)["/cache"] == "cache"
    assert mounts(fetch)[str(env(fetch)[Env.DATA_DIR])] == "data" and mounts(fetch)["/program"] == "program"
    assert fetch["securityContext"] == containers(spec_of())["trainer"]["securityContext"]


def test_one_that_is_no_worker_has_not_what_the_worker_is_known_by() -> None:
    (_, fetch) = spec_of({"initContainers": [{"name": "fetch"}]})["initContainers"]
    assert not {"identity", "state", "run", "ca"} & set(mounts(fetch).values())


def test_one_may_run_on_beside_the_trainer() -> None:
    made = spec_of({"initContainers": [{"name": "logs", "image": "l", "restartPolicy": "Always"}]})
    assert containers(made)["logs"]["restartPolicy"] == "Always"


# --- environment of the installation


def test_what_the_installation_says_holds_for_all_containers_until_the_job_says_otherwise() -> None:
    said = (EnvVar(name="TZ", value="UTC"), EnvVar(name="HTTPS_PROXY", value="http://proxy:3128"))
    own = {
        "containers": [{"name": "trainer", "env": [{"name": "TZ", "value": "CET"}]}],
        "initContainers": [FETCH],
    }
    found = containers(spec_of(own, replace(DEFAULTS, trainer_env=said)))
    assert {name: env(c)["TZ"] for name, c in found.items()} == {
        "profiler": "UTC",
        "fetch": "UTC",
        "trainer": "CET",
    }
    assert {env(c)["HTTPS_PROXY"] for c in found.values()} == {"http://proxy:3128"}


# --- on the nodes' own network


NO_PORTS = (
    "0/3 nodes are available: 1 node(s) didn't have free ports for the requested pod ports, "
    "2 node(s) didn't match Pod's node affinity/selector."
)


TAKEN = "OSError: [Errno 98] Address already in use (while attempting to bind on address ('', 21001))"


@pytest.mark.parametrize(
    "seen",
    [
        {"trouble": ContainerTrouble("", "Unschedulable", NO_PORTS)},
        {"ends": (ContainerEnd("profiler", "Error", 1, f"Traceback\n{TAKEN}"),)},
        {"ends": (ContainerEnd("trainer", "Error", 1, f"ProgramFailed: ended with status 1: {TAKEN}"),)},
    ],
    ids=["by another pod", "by what is no pod, of the profiler's", "of the trainer's"],
)
def test_a_pod_whose_ports_are_taken_makes_way_for_one_with_others(seen: Json) -> None:
    world = World.of("a", template={"spec": {"hostNetwork": True}})
    world.settle()
    world.change_pod("a", **seen)
    world.settle()
    assert world.pod("a").deleting
    world.finish_deletions()
    world.settle()
    assert (world.pod("a").attempt, world.pod("a").deleting) == (2, False)


def test_one_that_waits_for_something_else_is_left_alone() -> None:
    world = World.of("a", template={"spec": {"hostNetwork": True}})
    world.settle()
    world.change_pod(
        "a", trouble=ContainerTrouble("", "Unschedulable", "0/1 nodes: Insufficient nvidia.com/gpu.")
    )
    world.settle()
    assert not world.pod("a").deleting
    assert "Insufficient nvidia.com/gpu" in world.condition("Degraded").message


# --- devices


def test_a_trainer_has_its_devices_and_its_runtime() -> None:
    gpu = {"limits": {"nvidia.com/gpu": 1}}
    spec = spec_of({"runtimeClassName": "nvidia", **on("trainer", resources=gpu)}, replace(DEFAULTS))
    assert spec["runtimeClassName"] == "nvidia"
    found = containers(spec)
    assert found["trainer"]["resources"] == {
        "limits": {"nvidia.com/gpu": 1, "memory": "3276Mi"},
        "requests": {"memory": "0"},
    }
    assert "nvidia.com/gpu" not in found["profiler"]["resources"]["limits"]


def test_a_class_of_nodes_may_have_devices_that_others_have_not() -> None:
    gpu = {"limits": {"nvidia.com/gpu": 1, "memory": "8Gi"}}
    has = {"matchLabels": {"nvidia.com/gpu.present": "true"}}
    job = JobSpec.model_validate({"overrides": [{"selector": has, "resources": gpu}]})
    made = Job("digits", "default", "uid-1", 1, job, JobStatus())
    able = replace(NODE, labels={**NODE.labels, "nvidia.com/gpu.present": "true"})
    limits = [
        worker_pod(made, node, 1, DEFAULTS)["spec"]["containers"][0]["resources"]["limits"]
        for node in (able, NODE)
    ]
    assert limits == [gpu["limits"], {"memory": "3276Mi"}]
