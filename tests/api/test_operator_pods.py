"""What a job says of its pods, as an API server takes the pods."""

import time
from collections.abc import Iterator
from dataclasses import replace
from typing import Any

import pytest

from edgetrain_operator.core.allowed import Allowed
from edgetrain_protocol.pods import EnvVar
from tests.support.apiserver import ApiServer
from tests.support.objects import drop_nodes, items, job, make_node, program
from tests.support.replicas import DEFAULTS, settle
from tests.support.scripted_fleet import ScriptedFleet

Json = dict[str, Any]
ROOT_TOO = Allowed.model_validate({"users": ["*", "0"], "capabilities": ["*"]})
PROXIES = (EnvVar(name="HTTPS_PROXY", value="http://proxy.example.org:3128"),)


@pytest.fixture(autouse=True)
def _a_node(api: ApiServer) -> Iterator[None]:
    drop_nodes(api)
    make_node(api, "edge-a")
    yield
    drop_nodes(api)


@pytest.fixture
def open_namespace(api: ApiServer) -> Iterator[str]:
    """Without Pod Security."""
    name = f"open-{time.monotonic_ns()}"
    kinds = (("Namespace", {"name": name}), ("ServiceAccount", {"name": "default", "namespace": name}))
    api.apply(*({"apiVersion": "v1", "kind": kind, "metadata": meta} for kind, meta in kinds))
    yield name
    api.kubectl("delete", "namespace", name, "--wait=false")


def made(api: ApiServer, namespace: str, allowed: Allowed | None = None, **template: Any) -> Json:
    """The spec of the one pod of a job with this template.spec."""
    program(api, namespace, "main.py")
    api.apply(job(namespace, template={"spec": template}, storage={"checkpoint": {"claim": {}}}))
    defaults = replace(DEFAULTS, allowed=allowed or Allowed(), trainer_env=PROXIES)
    settle(api, ScriptedFleet(), namespace, defaults)
    (pod,) = items(api, "pods", namespace)
    return dict(pod["spec"])


def named(spec: Json, name: str) -> Json:
    return next(c for c in (*spec["initContainers"], *spec["containers"]) if c["name"] == name)


def test_a_job_that_says_much_of_its_pods_passes_restricted(api: ApiServer, namespace: str) -> None:
    spec = made(
        api,
        namespace,
        securityContext={"runAsUser": 1000, "fsGroup": 1000, "supplementalGroups": [2000]},
        containers=[
            {
                "name": "trainer",
                "resources": {"limits": {"nvidia.com/gpu": 1, "memory": "1Gi"}},
                "securityContext": {"capabilities": {"add": ["NET_BIND_SERVICE"]}},
            }
        ],
        initContainers=[
            {"name": "fetch", "image": "f", "volumeMounts": [{"name": "cache", "mountPath": "/cache"}]},
            {"name": "logs", "image": "l", "restartPolicy": "Always"},
        ],
        volumes=[{"name": "cache", "emptyDir": {}}],
    )
    assert [c["name"] for c in spec["initContainers"]] == ["profiler", "fetch", "logs"]
    assert spec["terminationGracePeriodSeconds"] == 120
    trainer = named(spec, "trainer")
    assert trainer["resources"]["requests"]["nvidia.com/gpu"] == "1", "the API server makes it so"
    assert {"name": "shared-memory", "mountPath": "/dev/shm"} in trainer["volumeMounts"]
    for name in ("profiler", "fetch", "logs", "trainer"):
        env = {e["name"]: e.get("value") for e in named(spec, name)["env"]}
        assert env["HTTPS_PROXY"] == "http://proxy.example.org:3128"


def test_on_the_nodes_own_network_all_ports_are_the_pods_alone(api: ApiServer, open_namespace: str) -> None:
    spec = made(api, open_namespace, hostNetwork=True)
    ports = [port["hostPort"] for name in ("trainer", "profiler") for port in named(spec, name)["ports"]]
    assert len(set(ports)) == len(ports) == 6
    told = {e["name"]: e.get("value") for e in named(spec, "trainer")["env"]}
    assert {str(port) for port in ports} == {v for k, v in told.items() if k.endswith("_PORT")}


def test_root_is_had_where_chart_and_namespace_allow_it(api: ApiServer, open_namespace: str) -> None:
    chown = {"runAsUser": 0, "capabilities": {"add": ["CHOWN"]}}
    spec = made(api, open_namespace, ROOT_TOO, initContainers=[{"name": "chown", "securityContext": chown}])
    found = named(spec, "chown")["securityContext"]
    assert (found["runAsUser"], found["runAsNonRoot"]) == (0, False)
    assert found["capabilities"] == {"add": ["CHOWN"], "drop": ["ALL"]}
    assert spec["securityContext"]["runAsNonRoot"] is True
