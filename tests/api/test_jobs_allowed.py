"""What a job may ask for: the chart's admission policy and the operator say the same, by the same values."""

import json
import time
from collections.abc import Callable, Iterator
from dataclasses import replace
from pathlib import Path
from typing import Any

import pytest
import yaml

from benchmarks.waiting import wait_for
from edgetrain_operator.core.allowed import Allowed
from edgetrain_operator.core.naming import identity_secret_name, pod_name
from edgetrain_operator.settings import Settings
from tests.support.apiserver import ApiServer
from tests.support.chart import CHART, find, of_kind, render, rendered
from tests.support.objects import drop_nodes, items, job, make_node, program
from tests.support.replicas import DEFAULTS, Replica, condition, settle, with_replicas
from tests.support.scripted_fleet import ScriptedFleet

Json = dict[str, Any]
OPEN = CHART / "ci" / "default-values.yaml"
STRICT = CHART / "ci" / "hardened-values.yaml"
POLICIES = ("ValidatingAdmissionPolicy", "ValidatingAdmissionPolicyBinding")
DENIED = "denied request: "
DIGEST = "@sha256:" + "0" * 64
EVERYWHERE: Json = {"matchLabels": {}}


def spec(**template: Any) -> Json:
    return {"template": {"spec": template}}


def volume(**source: Any) -> Json:
    return spec(volumes=[{"name": "v", "emptyDir": {}}, {"name": "w", **source}])


def env(secret: str) -> list[Json]:
    variable = {"name": "KEY", "valueFrom": {"secretKeyRef": {"name": secret, "key": "k"}}}
    return [{"name": "MODE", "value": "x"}, variable]


def with_program(**changes: Any) -> Json:
    return {"program": {"source": {"configMap": {"name": "program"}}, **changes}}


def pod_context(**says: Any) -> Json:
    return spec(securityContext=says)


def context(name: str, **says: Any) -> Json:
    return spec(containers=[{"name": name, "securityContext": says}])


def context_before(**says: Any) -> Json:
    return spec(initContainers=[{"name": "fetch"}, {"name": "chown", "securityContext": says}])


def projected(**source: Any) -> Json:
    return volume(projected={"sources": [{"downwardAPI": {}}, source]})


READS: dict[str, Callable[[str], Json]] = {
    "env": lambda secret: with_program(env=env(secret)),
    "class": lambda secret: {"overrides": [{"selector": EVERYWHERE, "env": env(secret)}]},
    "container": lambda secret: spec(containers=[{"name": "profiler", "env": env(secret)}]),
    "volume": lambda secret: volume(secret={"secretName": secret}),
    "init": lambda secret: spec(initContainers=[{"name": "fetch", "env": env(secret)}]),
    "store": lambda secret: {"storage": {"data": {"volume": {"secret": {"secretName": secret}}}}},
    "projected": lambda secret: projected(secret={"name": secret}),
    "driver": lambda secret: volume(csi={"driver": "d", "nodePublishSecretRef": {"name": secret}}),
    "remote": lambda secret: {"storage": {"data": {"uri": "s3://bucket/data/", "secret": secret}}},
    "program": lambda secret: {"program": {"source": {"uri": "s3://bucket/main.py", "secret": secret}}},
    "target": lambda secret: volume(iscsi={"secretRef": {"name": secret}}),
}
"""By which a job may come to read a Secret of its namespace."""
IDENTITY = identity_secret_name(pod_name("jobs-a", "uid", "edge-a", 1))
KEYRING, FLEET_KEY = Settings.keyring_secret, "edgetrain-fleet-tls"
TOKEN_SOURCE = {"serviceAccountToken": {"path": "t"}}
REFUSED = {
    "image": (with_program(image="evil.example.com/x"), "image evil.example.com/x", "registries"),
    "image-like-it": (with_program(image="registry.example.org.evil.com/x"), "image registry", "registries"),
    "image-of-a-class": (
        {"overrides": [{"selector": EVERYWHERE, "image": "a/b"}]},
        "image a/b",
        "registries",
    ),
    "image-before": (spec(initContainers=[{"name": "a", "image": "a/d"}]), "image a/d", "registries"),
    "volumes-image": (volume(image={"reference": "a/c"}), "image a/c", "registries"),
    "tag": (
        with_program(image="registry.example.org/x:1"),
        "image without a digest registry.example.org/x:1",
        "imageTags",
    ),
    "priority": (spec(priorityClassName="system-node-critical"), "priority class system-", "priorityClasses"),
    "other-priority": (spec(priorityClassName="urgent"), "priority class urgent", "priorityClasses"),
    "runtime": (spec(runtimeClassName="kata"), "runtime class kata", "runtimeClasses"),
    "kind": (volume(nfs={"server": "s", "path": "/"}), "volume of kind nfs", "volumes"),
    "kind-of-store": (
        {"storage": {"data": {"volume": {"ephemeral": {}}}}},
        "volume of kind ephemeral",
        "volumes",
    ),
    "host-path": (volume(hostPath={"path": "/etc"}), "host path /etc", "hostPaths"),
    "host-path-like-it": (volume(hostPath={"path": "/srv/database"}), "host path /srv/database", "hostPaths"),
    "host-path-of-store": (
        {"storage": {"model": {"volume": {"hostPath": {"path": "/"}}}}},
        "host path /",
        "hostPaths",
    ),
    "host-network": (spec(hostNetwork=True), "hostNetwork true", "hostNetwork"),
    **{f"secret-{way}": (asks("theirs"), "Secret theirs ", "secrets") for way, asks in READS.items()},
    **{f"identity-{way}": (asks(IDENTITY), f"Secret {IDENTITY} ", "secrets") for way, asks in READS.items()},
    "keyring": (READS["env"](KEYRING), f"Secret {KEYRING} ", "secrets"),
    "key-of-the-fleet": (READS["env"](FLEET_KEY), f"Secret {FLEET_KEY} ", "secrets"),
    "pull-secret": (spec(imagePullSecrets=[{"name": "x"}]), "pull secret x", "imagePullSecrets"),
    "token": (projected(**TOKEN_SOURCE), "projected source serviceAccountToken", "serviceAccountTokens"),
    "certificate": (
        projected(podCertificate={"signerName": "s"}),
        "projected source podCert",
        "serviceAccountTokens",
    ),
    "root": (pod_context(runAsUser=0), "user 0 ", "users"),
    "root-in-trainer": (context("trainer", runAsUser=0), "user 0 ", "users"),
    "root-before": (context_before(runAsUser=0), "user 0 ", "users"),
    "other-user": (pod_context(runAsUser=1001), "user 1001 ", "users"),
    "roots-group": (pod_context(supplementalGroups=[1000, 0]), "group 0 ", "groups"),
    "roots-group-in-profiler": (context("profiler", runAsGroup=0), "group 0 ", "groups"),
    "roots-volumes": (pod_context(fsGroup=0), "group 0 ", "groups"),
    "other-group": (context_before(runAsGroup=10000), "group 10000 ", "groups"),
    "capability": (
        context("trainer", capabilities={"add": ["SYS_ADMIN"]}),
        "capability SYS_",
        "capabilities",
    ),
    "capability-before": (
        context_before(capabilities={"add": ["NET_RAW"]}),
        "capability NET_RAW",
        "capabilities",
    ),
    "lesser-capability": (
        context("trainer", capabilities={"add": ["NET_BIND_SERVICE"]}),
        "capability NET_BIND",
        "capabilities",
    ),
    "unconfined": (
        pod_context(seccompProfile={"type": "Unconfined"}),
        "seccomp profile Unc",
        "seccompProfiles",
    ),
    "unconfined-before": (
        context_before(seccompProfile={"type": "Unconfined"}),
        "seccomp profile Unc",
        "seccompProfiles",
    ),
    "profile-of-nodes": (
        context("trainer", seccompProfile={"type": "Localhost", "localhostProfile": "x.json"}),
        "seccomp profile Localhost/x.json",
        "seccompProfiles",
    ),
    "label": ({"template": {"metadata": {"labels": {"app": "billing"}}}}, "label app", "labels"),
    "annotation": (
        {"template": {"metadata": {"annotations": {"example.org/a": "b"}}}},
        "annotation example",
        "annotations",
    ),
}
"""By the strict values: a job, what is named of it, and the value that says no."""
ALWAYS = {
    "priority",
    "token",
    "certificate",
    "keyring",
    "key-of-the-fleet",
    "root",
    "root-in-trainer",
    "root-before",
    "roots-group",
    "roots-group-in-profiler",
    "roots-volumes",
    "capability",
    "capability-before",
    "unconfined",
    "unconfined-before",
    *(f"identity-{way}" for way in READS),
}
"""By any values, of those."""
TAKEN: dict[str, Json] = {
    "nothing": {},
    "image": with_program(image=f"registry.example.org/team/x{DIGEST}", env=env("jobs-own")),
    "class": {
        "overrides": [
            {"selector": EVERYWHERE, "image": f"registry.example.org/y{DIGEST}", "env": env("jobs-b")}
        ]
    },
    "names": spec(
        priorityClassName="edge-low", runtimeClassName="gvisor", imagePullSecrets=[{"name": "pull"}]
    ),
    "volumes": {
        **spec(
            volumes=[
                {"name": "a", "hostPath": {"path": "/srv/data"}},
                {"name": "b", "hostPath": {"path": "/srv/data/deep"}},
                {"name": "c", "csi": {"driver": "d.example.org"}},
                {"name": "d", "projected": {"sources": [{"secret": {"name": "jobs-a"}}, {"configMap": {}}]}},
                {"name": "e", "secret": {"secretName": "jobs-c"}},
            ]
        ),
        "storage": {"data": {"volume": {"hostPath": {"path": "/srv/data/set"}}}, "model": {"claim": {}}},
    },
    "label": {"template": {"metadata": {"labels": {"example.org/team": "a"}}}},
    "user": {
        **spec(
            securityContext={
                "runAsUser": 1000,
                "fsGroup": 1000,
                "supplementalGroups": [65532],
                "seccompProfile": {"type": "RuntimeDefault"},
            },
            initContainers=[
                {
                    "name": "fetch",
                    "image": f"registry.example.org/team/fetch{DIGEST}",
                    "env": env("jobs-own"),
                    "securityContext": {"runAsUser": 65532, "capabilities": {"drop": ["ALL"]}},
                }
            ],
        )
    },
    "name-like-an-identity": with_program(env=env("jobs-identity")),
}
MALFORMED = {
    "path": volume(hostPath={"path": 5}),
    "name": volume(secret={"secretName": ["theirs"]}),
    "sources": volume(projected={"sources": "theirs"}),
    "source": volume(projected={"sources": ["theirs"]}),
    "driver": volume(csi={"driver": {}}),
    "image": volume(image={"reference": 5}),
}
"""No pod of these would be taken: what they ask for must not be taken for nothing, nor end anybody."""


def allowed(values: Path) -> Allowed:
    """As the operator that this chart installs is told."""
    pod = find(rendered(values), "Deployment", "edgetrain-operator")["spec"]["template"]["spec"]
    env = {e["name"]: e.get("value", "given by the kubelet") for e in pod["containers"][0]["env"]}
    return Settings.from_env(env).allowed


def by_policy(api: ApiServer, namespace: str, cases: dict[str, Json]) -> dict[str, str]:
    """What is said against each at `kubectl create`; nothing of those that are taken."""
    jobs = [job(namespace, name, **asks) for name, asks in cases.items()]
    how = ("create", "--dry-run=server", "-f", "-")
    said = api.kubectl(*how, stdin=yaml.safe_dump_all(jobs), check=False).stderr
    found = ((f'"{name}"', line, name) for line in said.splitlines() for name in cases)
    return {name: line for quoted, line, name in found if quoted in line}


def by_operator(
    api: ApiServer, namespace: str, values: Path, cases: dict[str, Json]
) -> dict[str, tuple[str, str]]:
    """Reason and message with which it makes no pod; nothing of those for which it makes one."""
    jobs = [job(namespace, name, **asks) for name, asks in cases.items()]
    api.kubectl("create", "-f", "-", stdin=yaml.safe_dump_all(jobs))

    async def look(replica: Replica) -> None:
        for name in cases:
            await replica.settle(namespace, name, steps=2)

    with_replicas(api, ScriptedFleet(), look, defaults=replace(DEFAULTS, allowed=allowed(values)))
    pods = {p["metadata"]["labels"]["edgetrain.io/job-name"] for p in items(api, "pods", namespace)}
    found = {m["metadata"]["name"]: m["status"]["conditions"] for m in items(api, "etj", namespace)}
    scheduled = {n: next(c for c in said if c["type"] == "Scheduled") for n, said in found.items()}
    assert pods == {name for name, said in scheduled.items() if said["status"] == "True"}
    return {n: (said["reason"], said["message"]) for n, said in scheduled.items() if n not in pods}


def install(api: ApiServer, namespace: str, values: Path) -> None:
    """The chart's policy, for this namespace alone, and wait until it holds."""
    made = render(values, "--set", f"watchNamespaces={{{namespace}}}")
    for manifest in [m for kind in POLICIES for m in of_kind(made, kind)]:
        api.apply(manifest)
    system = {"priority": REFUSED["priority"][0]}
    wait_for(lambda: by_policy(api, namespace, system), 60, "the policy to hold")


def uninstall(api: ApiServer) -> None:
    for kind in POLICIES:
        api.kubectl("delete", kind, "edgetrain-jobs")


@pytest.fixture(params=[OPEN, STRICT], ids=["open", "strict"])
def values(request: pytest.FixtureRequest, api: ApiServer, namespace: str) -> Iterator[Path]:
    install(api, namespace, request.param)
    yield request.param
    uninstall(api)


@pytest.fixture
def unguarded(api: ApiServer) -> Iterator[str]:
    """A namespace without the policy and without Pod Security: the operator is alone there."""
    name = f"unguarded-{time.monotonic_ns()}"
    kinds = (("Namespace", {"name": name}), ("ServiceAccount", {"name": "default", "namespace": name}))
    api.apply(*({"apiVersion": "v1", "kind": kind, "metadata": meta} for kind, meta in kinds))
    program(api, name, "main.py")
    drop_nodes(api)
    make_node(api, "edge-a")
    yield name
    drop_nodes(api)
    api.kubectl("delete", "namespace", name, "--wait=false")


@pytest.mark.attack(11)
def test_both_refuse_the_same_in_the_same_words(
    api: ApiServer, namespace: str, unguarded: str, values: Path
) -> None:
    cases = {name: asks for name, (asks, _, _) in REFUSED.items()}
    at_apply, told = by_policy(api, namespace, cases), by_operator(api, unguarded, values, cases)
    not_allowed = {name: message for name, (reason, message) in told.items() if reason == "NotAllowed"}
    expected = set(REFUSED) if values == STRICT else ALWAYS
    assert set(at_apply) == set(not_allowed) == expected
    for name, said in at_apply.items():
        _, what, value = REFUSED[name]
        text = said.partition(DENIED)[2]
        assert text.startswith(what) and f"jobs.allowed.{value} of the edgetrain chart" in text, said
        assert text in not_allowed[name]


def test_what_is_allowed_is_taken_by_both(
    api: ApiServer, namespace: str, unguarded: str, values: Path
) -> None:
    assert by_policy(api, namespace, TAKEN) == {}
    told = by_operator(api, unguarded, values, TAKEN)
    assert [name for name, (reason, _) in told.items() if reason == "NotAllowed"] == []


def test_neither_takes_what_it_cannot_read_for_nothing(
    api: ApiServer, namespace: str, unguarded: str, values: Path
) -> None:
    assert set(by_policy(api, namespace, MALFORMED)) == set(MALFORMED)
    told = by_operator(api, unguarded, values, MALFORMED)
    assert set(told) == set(MALFORMED), "the API server takes no such pod"


def test_workers_that_run_stay_when_less_is_allowed(api: ApiServer, unguarded: str) -> None:
    fleet = ScriptedFleet()
    api.kubectl("create", "-f", "-", stdin=json.dumps(job(unguarded, **with_program(image="x/y"))))
    settle(api, fleet, unguarded)
    (pod,) = items(api, "pods", unguarded)
    make_node(api, "edge-b")
    settle(api, fleet, unguarded, replace(DEFAULTS, allowed=allowed(STRICT)))
    assert [p["metadata"]["name"] for p in items(api, "pods", unguarded)] == [pod["metadata"]["name"]]
    assert condition(api, unguarded, "Scheduled")["reason"] == "NotAllowed"
    settle(api, fleet, unguarded)
    assert len(items(api, "pods", unguarded)) == 2, "once it is allowed again, nothing is to be touched"


def test_a_job_from_before_can_be_stopped(api: ApiServer, namespace: str) -> None:
    api.apply(job(namespace, **with_program(image="x/y")))
    install(api, namespace, STRICT)
    try:
        patch = '{"spec":{"suspend":true},"metadata":{"finalizers":["example.org/x"]}}'
        api.kubectl("patch", "etj", "digits", "-n", namespace, "--type=merge", "-p", patch)
        gone = '{"metadata":{"finalizers":null}}'
        api.kubectl("patch", "etj", "digits", "-n", namespace, "--type=merge", "-p", gone)
    finally:
        uninstall(api)
