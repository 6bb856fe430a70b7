"""The chart as an API server takes it, and what its values do."""

import subprocess
from collections.abc import Iterator
from copy import deepcopy
from pathlib import Path

import pytest
import yaml

from edgetrain_operator.settings import Settings
from edgetrain_protocol.names import GROUP, PLURAL, RUNTIME_PLURAL
from tests.support.apiserver import ApiServer
from tests.support.chart import (
    CHART,
    CI,
    Manifest,
    find,
    of_kind,
    render,
    rendered,
    teach_others_kinds,
    with_samples,
)
from tests.support.programs import helm

EVERYTHING = CHART / "ci" / "everything-values.yaml"
DEFAULT = CHART / "ci" / "default-values.yaml"
DEFAULTS = yaml.safe_load((CHART / "values.yaml").read_text())
WHOLE = (
    "annotations",
    "labels",
    "podAnnotations",
    "podLabels",
    "nodeSelector",
    "affinity",
    "limits",
    "requests",
)
ALONE = (
    "image.digest=sha256:" + "0" * 64,
    "trainer.image.tag=v8",
    "fleet.tls.source=secret,fleet.tls.secretName=mine",
    "serviceAccount.create=false,serviceAccount.name=mine",
)
"""Values that have no effect beside those of the file that sets everything."""

SWITCHES = (("crds", "enabled"), ("networkPolicy", "enabled"))
"""As they come, in that file: without them others of it would have no effect."""


@pytest.fixture(scope="session")
def others_api(bare_api: ApiServer) -> ApiServer:
    """A server with the CRDs of cert-manager and the Prometheus operator, too."""
    teach_others_kinds(bare_api)
    return bare_api


@pytest.fixture(scope="session")
def chart(tmp_path_factory: pytest.TempPathFactory) -> Path:
    """With a file of rules and a dashboard, whatever the chart's own are."""
    return with_samples(tmp_path_factory.mktemp("chart"))


@pytest.mark.parametrize("values", CI, ids=lambda p: p.stem)
def test_lint_is_content(values: Path) -> None:
    helm("lint", "--strict", CHART, "--values", values)


def take(api: ApiServer, manifests: list[Manifest]) -> subprocess.CompletedProcess[str]:
    """Every object, checked against its schema with unknown fields refused, but not kept."""
    for name in ("system", "team-a", "team-b"):
        # With the ServiceAccount that a controller would make.
        api.apply(
            {"apiVersion": "v1", "kind": "Namespace", "metadata": {"name": name}},
            {
                "apiVersion": "v1",
                "kind": "ServiceAccount",
                "metadata": {"name": "default", "namespace": name},
            },
        )
    how = ("create", "--dry-run=server", "--validate=strict", "-f", "-")
    return api.kubectl(*how, stdin=yaml.safe_dump_all(manifests), check=False)


@pytest.mark.parametrize("values", CI, ids=lambda p: p.stem)
def test_api_server_takes_all_of_it(others_api: ApiServer, chart: Path, values: Path) -> None:
    done = take(others_api, render(values, chart=chart))
    # The CRDs may be there already, brought by another test.
    crds = (f"{PLURAL}.{GROUP}", f"{RUNTIME_PLURAL}.{GROUP}")
    assert [line for line in done.stderr.splitlines() if not any(crd in line for crd in crds)] == []


@pytest.mark.parametrize(
    "kind", ["Certificate", "ServiceMonitor", "PodMonitor", "PrometheusRule", "NetworkPolicy"]
)
def test_api_server_would_have_noticed(others_api: ApiServer, chart: Path, kind: str) -> None:
    (manifest,) = of_kind(render(EVERYTHING, chart=chart), kind)
    manifest["spec"]["misspelt"] = "x"
    assert 'unknown field "spec.misspelt"' in take(others_api, [manifest]).stderr


@pytest.mark.parametrize("values", CI, ids=lambda p: p.stem)
def test_pods_pass_restricted(api: ApiServer, namespace: str, values: Path) -> None:
    manifests = rendered(values)
    operator = find(manifests, "Deployment", "edgetrain-operator")["spec"]["template"]
    test = find(manifests, "Pod", "edgetrain-test")
    for name, pod in (("operator", operator), ("test", test)):
        # Neither is there without controllers, and neither is what Pod Security looks at.
        spec = pod["spec"] | {"serviceAccountName": "default", "priorityClassName": ""}
        metadata = {"name": name, "namespace": namespace}
        manifest = {"apiVersion": "v1", "kind": "Pod", "metadata": metadata, "spec": spec}
        api.kubectl("create", "--dry-run=server", "-f", "-", stdin=yaml.safe_dump(manifest))


def leaves(tree: Manifest, path: tuple[str, ...] = ()) -> Iterator[tuple[str, ...]]:
    for key, value in tree.items():
        if isinstance(value, dict) and key not in WHOLE:
            yield from leaves(value, (*path, key))
        else:
            yield (*path, key)


def back(path: tuple[str, ...]) -> Manifest:
    """Everything set but this one value, which is as it comes."""
    values: Manifest = deepcopy(yaml.safe_load(EVERYTHING.read_text()))
    default = DEFAULTS
    inner = values
    for key in path[:-1]:
        inner, default = inner[key], default[key]
    if path in SWITCHES:
        inner[path[-1]] = not inner[path[-1]]
    elif path[-1] in default:
        inner[path[-1]] = default[path[-1]]
    else:
        del inner[path[-1]]
    if path == ("fleet", "service", "type"):
        # Defaults take no nodePort, and NodePorts nothing of a load balancer's.
        inner |= {"type": "NodePort", "loadBalancerClass": "", "loadBalancerSourceRanges": []}
    if path == ("fleet", "tls", "certManager", "issuerRef", "name"):
        inner["name"] = "another"  # required
    return values


@pytest.mark.parametrize("path", list(leaves(yaml.safe_load(EVERYTHING.read_text()))), ids=".".join)
def test_every_value_makes_a_difference(chart: Path, tmp_path: Path, path: tuple[str, ...]) -> None:
    (tmp_path / "values.yaml").write_text(yaml.safe_dump(back(path)))
    assert render(tmp_path / "values.yaml", chart=chart) != list(rendered(EVERYTHING, chart))


@pytest.mark.parametrize("value", ALONE)
def test_value_alone_makes_a_difference(value: str) -> None:
    assert render(DEFAULT, "--set", value) != list(rendered(DEFAULT))


@pytest.mark.parametrize(
    ("wrong", "says"),
    [
        ("replicas=2", "replicas"),
        ("replicaCount=two", "replicaCount"),
        ("fleet.address=cloud.example.org", "fleet"),
        ("fleet.service.nodePort=30443", "nodePort|type"),
        ("fleet.service.loadBalancerClass=x", "loadBalancerClass"),
        ("fleet.service.externalTrafficPolicy=Local", "externalTrafficPolicy"),
        ("fleet.tls.source=letsencrypt", "source"),
        ("fleet.tls.source=secret", "secretName"),
        ("fleet.tls.source=cert-manager", "issuerRef"),
        ("fleet.tls.secretName=mine", "secretName"),
        ("image.digest=latest", "digest"),
        ("trainer.image.digest=latest", "digest"),
        ("trainer.resources.limits=512Mi", "limits"),
        ("trainer.memoryLimitPercent=101", "memoryLimitPercent"),
        ("trainer.env[0].name=EDGETRAIN_NODE", "env"),
        ("operator.env[0].names=TZ", "env"),
        ("proxy.http=proxy.example.org:3128", "http"),
        ("jobs.allowed.users={root}", "users"),
        ("serviceAccount.create=false", "serviceAccount"),
        ("metrics.serviceMonitor.interval=often", "interval"),
        ("operator.logLevel=LOUD", "logLevel"),
        ("trainer.image.pullPolicy=Sometimes", "pullPolicy"),
        ("watchNamespaces={Team_A}", "watchNamespaces"),
        ("jobs.allowed.secrets={a*b}", "secrets"),
        ("jobs.allowed.hostPaths={data}", "hostPaths"),
        ("jobs.allowed.labels=null", "labels"),
    ],
)
def test_wrong_values_are_refused(wrong: str, says: str) -> None:
    done = helm("template", "edgetrain", CHART, "--set", wrong, check=False)
    assert done.returncode != 0
    assert any(word in done.stderr for word in says.split("|"))


def test_older_clusters_are_refused() -> None:
    done = helm("template", "edgetrain", CHART, "--kube-version", "1.29.14", check=False)
    assert done.returncode != 0 and "incompatible with Kubernetes" in done.stderr
    helm("template", "edgetrain", CHART, "--kube-version", "1.30.0")


@pytest.mark.parametrize("values", CI, ids=lambda p: p.stem)
def test_operator_understands_its_environment(values: Path) -> None:
    pod = find(rendered(values), "Deployment", "edgetrain-operator")["spec"]["template"]["spec"]
    (container,) = pod["containers"]
    env = {e["name"]: str(e.get("value", "given by the kubelet")) for e in container["env"]}
    settings = Settings.from_env(env)
    others = {"HTTP_PROXY", "HTTPS_PROXY", "NO_PROXY", "http_proxy", "https_proxy", "no_proxy", "TZ"}
    assert {name for name in env if not name.startswith("EDGETRAIN_OPERATOR_")} <= others
    assert len(env) == len(container["env"])
    given = {variable.name for variable in settings.trainer_env}
    assert given == {name for name in env if name in others}
    assert settings.trainer_image.startswith(
        ("edgetrain/trainer:dev", "registry.example.org/trainer@sha256:")
    )
    jobs = DEFAULTS["jobs"] | (yaml.safe_load(values.read_text()).get("jobs") or {})
    assert settings.network_policy.enabled == jobs["networkPolicy"].get("enabled", True)
    trainer = DEFAULTS["trainer"] | (yaml.safe_load(values.read_text()).get("trainer") or {})
    assert settings.trainer_resources == trainer["resources"]
    assert settings.trainer_memory_percent == trainer["memoryLimitPercent"]
    mounts = {mount["mountPath"]: mount["name"] for mount in container["volumeMounts"]}
    tls = mounts.get(str(settings.tls_dir))
    assert (
        (tls is not None)
        == (settings.tls_dir is not None)
        == ("fleet-tls" in {v["name"] for v in pod["volumes"]})
    )
    roles = of_kind(rendered(values), "Role")
    named = {name for m in roles for rule in m["rules"] for name in rule.get("resourceNames", ())}
    assert named == {settings.lease_name, settings.keyring_secret}


def test_what_is_near_is_dialled_without_a_proxy_by_programs_too() -> None:
    """Our own clients use none whatever is said here."""
    pod = find(rendered(EVERYTHING), "Deployment", "edgetrain-operator")["spec"]["template"]["spec"]
    env = {e["name"]: e.get("value", "") for e in pod["containers"][0]["env"]}
    workers = {v.name: v.value for v in Settings.from_env(env).trainer_env}
    near = {".svc", ".cluster.local", "localhost", "127.0.0.1", "198.51.100.7", "10.0.0.0/8"}
    assert near <= set(str(workers["NO_PROXY"]).split(","))
    assert near | {"$(KUBERNETES_SERVICE_HOST)"} <= set(env["no_proxy"].split(","))


def test_a_workers_environment_is_passed_on_as_it_is() -> None:
    """A kubelet puts in the values of what it finds in the operator's pod, and takes one of two $ away."""
    says = ("--set-json", 'trainer.env=[{"name": "WHERE", "value": "$(EDGETRAIN_OPERATOR_LEASE_NAME)"}]')
    pod = find(render(DEFAULT, *says), "Deployment", "edgetrain-operator")["spec"]["template"]["spec"]
    env = {e["name"]: e.get("value", "") for e in pod["containers"][0]["env"]}
    assert '"$$(EDGETRAIN_OPERATOR_LEASE_NAME)"' in env["EDGETRAIN_OPERATOR_TRAINER_ENV"]
    assert "NO_PROXY" not in env, "nothing of proxies where there is none"


def test_rights_in_other_namespaces_only_where_jobs_are() -> None:
    manifests = rendered(CHART / "ci" / "namespaced-values.yaml")
    everywhere = find(manifests, "ClusterRole", "edgetrain-operator")
    # What is of no namespace, and is only read.
    assert [rule["resources"] for rule in everywhere["rules"]] == [["nodes"], ["edgetrainingruntimes"]]
    assert all(set(rule["verbs"]) <= {"get", "list", "watch"} for rule in everywhere["rules"])
    bound = {m["metadata"]["namespace"] for m in of_kind(manifests, "RoleBinding")}
    assert bound == {"system", "team-a", "team-b"}


def test_no_right_to_read_users_secrets() -> None:
    for values in CI:
        for manifest in rendered(values):
            for rule in manifest.get("rules", ()):
                if "secrets" in rule["resources"] and set(rule["verbs"]) != {"create"}:
                    assert rule.get("resourceNames") == ["edgetrain-operator-keyring"]


@pytest.mark.parametrize(("values", "made"), [(DEFAULT, True), (EVERYTHING, False)])
def test_a_right_to_make_network_policies_only_where_the_operator_makes_them(
    values: Path, made: bool
) -> None:
    rules = [rule for manifest in rendered(values) for rule in manifest.get("rules", ())]
    verbs = [rule["verbs"] for rule in rules if "networkpolicies" in rule["resources"]]
    assert verbs == ([["create"]] if made else [])


def test_crd_stays_where_it_is_kept() -> None:
    for plural in (PLURAL, RUNTIME_PLURAL):
        policy, crd = "helm.sh/resource-policy", ("CustomResourceDefinition", f"{plural}.{GROUP}")
        kept = find(rendered(CHART / "ci" / "edge-values.yaml"), *crd)
        assert kept["metadata"]["annotations"][policy] == "keep"
        gone = find(rendered(EVERYTHING), *crd)
        assert policy not in gone["metadata"].get("annotations", {})
