"""The manifests that are made for a job."""

from dataclasses import replace
from typing import Any

import pytest

from edgetrain.engine.settings import RemotePlace
from edgetrain.engine.settings import Settings as EngineSettings
from edgetrain.profiler.settings import Settings as ProfilerSettings
from edgetrain.supervisor.remote_settings import Remote
from edgetrain.supervisor.settings import Settings as SupervisorSettings
from edgetrain_operator.core.children import ca_config_map, identity_secret, plan_config_map
from edgetrain_operator.core.model import Defaults, Job, NodeView
from edgetrain_operator.core.naming import child_name, pod_name, worker_name
from edgetrain_operator.core.pods import worker_pod
from edgetrain_operator.core.stored import StoredPlan, TooLarge, WorkerRecord
from edgetrain_operator.core.volumes import claims
from edgetrain_protocol.job import JobSpec
from edgetrain_protocol.names import EDGE_NODE_LABEL, METRICS_PORT_NAME, PROFILER_PORT, SITE_LABEL, Env
from edgetrain_protocol.status import JobStatus

DEFAULTS = Defaults("registry.example/edgetrain:1", "fleet.example:8443")
OF_SOME_JOBS = {
    *(Env.DATA_POLICY, Env.KEYS, Env.KEYS_DIR),
    *(Env.PROGRAM_URI, Env.PROGRAM_SHA256, Env.DATA_URI, Env.DATA_SHA256, Env.CHECKPOINT_URI, Env.MODEL_URI),
}
NODE = NodeView("edge-a", {EDGE_NODE_LABEL: "", SITE_LABEL: "north", "arch": "arm"})


def a_job(name: str = "digits", **spec: Any) -> Job:
    return Job(name, "default", "uid-1", 1, JobSpec.model_validate(spec), JobStatus())


def trainer_of(pod: dict[str, Any]) -> dict[str, Any]:
    (container,) = pod["spec"]["containers"]
    return dict(container)


def env_of(container: dict[str, Any]) -> dict[str, Any]:
    return {variable["name"]: variable.get("value") for variable in container["env"]}


def scraped_port(pod: dict[str, Any]) -> int:
    containers = [*pod["spec"]["initContainers"], *pod["spec"]["containers"]]
    (port,) = [p for c in containers for p in c.get("ports", ()) if p.get("name") == METRICS_PORT_NAME]
    return int(port["containerPort"])


def test_a_trainer_has_the_charts_resources_where_the_job_says_nothing() -> None:
    limited = replace(DEFAULTS, trainer_resources={"limits": {"memory": "512Mi"}})
    own = {"spec": {"containers": [{"name": "trainer", "resources": {"limits": {"cpu": "1"}}}]}}
    made = [worker_pod(job, NODE, 1, limited) for job in (a_job(), a_job(template=own))]
    assert [trainer_of(pod)["resources"] for pod in made] == [
        {"limits": {"memory": "512Mi"}},
        {"limits": {"cpu": "1"}},
    ]
    assert trainer_of(worker_pod(a_job(), NODE, 1, DEFAULTS))["resources"] == {}


@pytest.mark.parametrize(
    ("said", "resources"),
    [
        ({}, {"limits": {"memory": "3072Mi"}, "requests": {"memory": "0"}}),
        ({"limits": {"cpu": "1"}}, {"limits": {"cpu": "1", "memory": "3072Mi"}, "requests": {"memory": "0"}}),
        ({"limits": {"memory": "1Gi"}}, {"limits": {"memory": "1Gi"}}),
        ({"requests": {"memory": "1Gi"}}, {"requests": {"memory": "1Gi"}}),
    ],
)
def test_a_trainers_memory_is_limited_by_its_nodes_where_nothing_is_said_of_it(
    said: dict[str, Any], resources: dict[str, Any]
) -> None:
    node = replace(NODE, memory=4 << 30)
    job = a_job(template={"spec": {"containers": [{"name": "trainer", "resources": said}]}})
    limited, unlimited = (replace(DEFAULTS, trainer_memory_percent=percent) for percent in (75, 0))
    assert trainer_of(worker_pod(job, node, 1, limited))["resources"] == resources
    assert trainer_of(worker_pod(job, node, 1, unlimited))["resources"] == said
    of_chart = replace(limited, trainer_resources=said)
    assert trainer_of(worker_pod(a_job(), node, 1, of_chart))["resources"] == resources


def test_names_fit_and_differ_by_job_node_and_attempt() -> None:
    long = "a" * 200 + ".b"
    made = {pod_name(long, uid, node, n) for uid in ("u", "v") for node in ("x", "y") for n in (1, 2)}
    assert len(made) == 8
    assert max(map(len, made)) <= 63
    assert "." not in child_name("a.b.c", 1)


def test_both_containers_have_what_workers_rely_on() -> None:
    pod = worker_pod(a_job(), NODE, 3, DEFAULTS)
    (profiler,) = pod["spec"]["initContainers"]
    assert profiler["restartPolicy"] == "Always" and "startupProbe" not in profiler
    for container in (profiler, trainer_of(pod)):
        env = env_of(container)
        assert env.keys() >= {str(name) for name in Env} - {Env.LINK_FD, *OF_SOME_JOBS}
        assert not env.keys() & OF_SOME_JOBS
        assert (env[Env.WORKER], env[Env.SITE]) == (worker_name("edge-a"), "north")
        assert env[Env.FLEET_ADDRESS] == "fleet.example:8443"
        assert container["image"] == "registry.example/edgetrain:1"
        assert container["terminationMessagePolicy"] == "FallbackToLogsOnError"
        assert not any("subPath" in mount for mount in container["volumeMounts"])
    assert trainer_of(pod)["command"][-3:] == ["--", "python", "/program/main.py"]
    assert pod["metadata"]["labels"]["app-offline.kubeedge.io"] == "autonomy"


def test_a_program_is_told_that_its_data_are_its_own() -> None:
    pod = worker_pod(a_job(data={"policy": "local"}), NODE, 1, DEFAULTS)
    assert env_of(trainer_of(pod))[Env.DATA_POLICY] == "local"


def test_the_pod_goes_to_its_node_by_the_scheduler_and_stays_there_in_the_dark() -> None:
    spec = worker_pod(a_job(), NODE, 1, DEFAULTS)["spec"]
    assert "nodeName" not in spec
    affinity = spec["affinity"]["nodeAffinity"]["requiredDuringSchedulingIgnoredDuringExecution"]
    assert affinity["nodeSelectorTerms"][0]["matchFields"][0]["values"] == ["edge-a"]
    assert {t["effect"] for t in spec["tolerations"]} == {"NoExecute"}
    assert not any("tolerationSeconds" in t for t in spec["tolerations"])


def test_template_and_overrides_are_merged_the_nearer_wins() -> None:
    job = a_job(
        program={
            "image": "job:1",
            "command": ["run"],
            "args": ["-v"],
            "env": [{"name": "A", "value": "job"}],
        },
        template={
            "metadata": {"labels": {"team": "x"}},
            "spec": {
                "containers": [
                    {
                        "name": "trainer",
                        "env": [{"name": "A", "value": "template"}, {"name": "B", "value": "b"}],
                        "resources": {"limits": {"cpu": "1"}},
                        "volumeMounts": [{"name": "extra", "mountPath": "/extra"}],
                    }
                ],
                "volumes": [{"name": "extra", "emptyDir": {}}],
                "tolerations": [{"key": "edge", "operator": "Exists"}],
                "priorityClassName": "low",
            },
        },
        overrides=[
            {
                "selector": {"matchLabels": {"arch": "arm"}},
                "image": "arm:1",
                "resources": {"limits": {"cpu": "2"}},
            },
            {"selector": {"matchLabels": {"arch": "amd"}}, "image": "amd:1"},
        ],
    )
    pod = worker_pod(job, NODE, 1, DEFAULTS)
    trainer = trainer_of(pod)
    assert trainer["image"] == pod["spec"]["initContainers"][0]["image"] == "arm:1"
    assert trainer["command"][-3:] == ["--", "run", "-v"]
    assert (env_of(trainer)["A"], env_of(trainer)["B"]) == ("template", "b")
    assert trainer["resources"] == {"limits": {"cpu": "2"}}
    assert {"name": "extra", "mountPath": "/extra"} in trainer["volumeMounts"]
    assert pod["spec"]["priorityClassName"] == "low"
    assert pod["metadata"]["labels"]["team"] == "x"
    other = worker_pod(job, NodeView("edge-b", {EDGE_NODE_LABEL: ""}), 1, DEFAULTS)
    assert trainer_of(other)["image"] == "job:1"


def test_storage_is_a_claim_for_each_node_a_volume_or_the_pods_own() -> None:
    job = a_job(
        storage={
            "checkpoint": {"claim": {"size": "2Gi", "storageClassName": "local"}},
            "data": {"volume": {"nfs": {}}},
        }
    )
    (mine,), (other,) = claims(job, "edge-a"), claims(job, "edge-b")
    assert mine["metadata"]["name"] != other["metadata"]["name"]
    assert mine["spec"]["resources"]["requests"]["storage"] == "2Gi"
    volumes = {v["name"]: v for v in worker_pod(job, NODE, 1, DEFAULTS)["spec"]["volumes"]}
    assert volumes["checkpoint"]["persistentVolumeClaim"]["claimName"] == mine["metadata"]["name"]
    assert "nfs" in volumes["data"] and "emptyDir" in volumes["model"]


def test_on_the_nodes_own_network_each_job_has_its_ports() -> None:
    host = {"spec": {"hostNetwork": True}}
    pod = worker_pod(a_job(template=host), NODE, 1, DEFAULTS)
    env = env_of(trainer_of(pod))
    ports = {env[key] for key in env if key.endswith("_PORT")}
    assert len(ports) == 6 and all(20_000 <= int(port) < 30_000 for port in ports)
    assert scraped_port(pod) == int(env[Env.PROFILER_PORT])
    told = {**env, Env.POD: "pod", Env.POD_UID: "uid", Env.POD_IP: "10.0.0.1"}
    read = [SupervisorSettings.from_env(told).metrics_port, ProfilerSettings.from_env(told).metrics_port]
    assert read == [int(env[Env.TRAINER_METRICS_PORT]), int(env[Env.PROFILER_PORT])], "two jobs share a node"
    ours = [settings.from_env(told).rounds_port for settings in (SupervisorSettings, ProfilerSettings)]
    assert ours == [int(env[Env.ROUNDS_PORT])] * 2, "the reports of both say where a holder is asked"
    taken = {scraped_port(pod), *(port["hostPort"] for port in trainer_of(pod)["ports"])}
    assert taken == {int(port) for port in ports}, "the scheduler knows of them all"
    again = env_of(trainer_of(worker_pod(a_job(template=host), NODE, 2, DEFAULTS)))
    assert not ports & {again[key] for key in again if key.endswith("_PORT")}, "the next attempt has others"
    assert "ports" not in trainer_of(worker_pod(a_job(), NODE, 1, DEFAULTS))


def test_prometheus_finds_the_profiler_by_its_ports_name() -> None:
    assert scraped_port(worker_pod(a_job(), NODE, 1, DEFAULTS)) == PROFILER_PORT


def test_children_go_with_the_job_and_hold_nobody_up() -> None:
    for manifest in (worker_pod(a_job(), NODE, 1, DEFAULTS), ca_config_map(a_job(), "bundle")):
        (owner,) = manifest["metadata"]["ownerReferences"]
        assert (owner["uid"], owner["controller"], owner["blockOwnerDeletion"]) == ("uid-1", True, False)
    (owner,) = identity_secret(a_job(), "p", "pod-uid", "n", {})["metadata"]["ownerReferences"]
    assert (owner["kind"], owner["uid"], owner["blockOwnerDeletion"]) == ("Pod", "pod-uid", False)


def test_a_plan_for_a_thousand_workers_fits_and_too_large_a_one_is_refused() -> None:
    def stored(count: int, longer: int = 40) -> StoredPlan:
        records = (
            WorkerRecord(node=f"edge-{n}" + "x" * longer, attempt=3, pod_uid="u" * longer)
            for n in range(count)
        )
        return StoredPlan(workers={worker_name(r.node): r for r in records})

    plan_config_map(a_job(), stored(1000), "7")
    with pytest.raises(TooLarge, match=r"spec\.nodes\.max"):
        plan_config_map(a_job(), stored(1990, longer=240), None)


def test_remote_stores_are_named_to_the_supervisor_alone_with_the_keys_that_there_are() -> None:
    pinned, listed = (
        {"uri": "s3://bucket/p.tar", "sha256": "0" * 64},
        {"uri": "s3://bucket/d/", "secret": "keys"},
    )
    kept = {"uri": "s3://bucket/c", "secret": "keys"}
    job = a_job(program={"source": pinned}, storage={"data": {**listed, "claim": {}}, "checkpoint": kept})
    pod = worker_pod(job, NODE, 1, DEFAULTS)
    env = {name: value or "x" for name, value in env_of(trainer_of(pod)).items()}
    assert EngineSettings.from_env(env).remote_checkpoints == RemotePlace(
        "s3://bucket/c/uid-1", "/etc/edgetrain/keys/checkpoint"
    )
    settings = SupervisorSettings.from_env(env).remote
    assert settings.program == Remote("s3://bucket/p.tar", "0" * 64, "")
    assert settings.data == Remote("s3://bucket/d/", "", "/etc/edgetrain/keys/data")
    volumes = {volume["name"]: volume for volume in pod["spec"]["volumes"]}
    secret = {"secretName": "keys", "defaultMode": 0o440, "optional": True}
    assert volumes["keys-data"]["secret"] == secret and volumes["program"]["emptyDir"] == {}
    assert "persistentVolumeClaim" in volumes["data"] and "keys-program" not in volumes
    mounted = {mount["mountPath"]: mount for mount in trainer_of(pod)["volumeMounts"]}
    assert mounted["/etc/edgetrain/keys/data"]["readOnly"]
    assert "readOnly" not in mounted["/program"]
    (profiler,) = pod["spec"]["initContainers"]
    assert not any("keys" in mount["name"] for mount in profiler["volumeMounts"])
