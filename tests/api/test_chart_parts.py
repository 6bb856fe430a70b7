"""What the chart's objects must agree on with the operator and with each other."""

import json
from pathlib import Path

import pytest
import yaml

from edgetrain_operator.core.children import WORKER
from edgetrain_protocol import names
from tests.support.chart import (
    CHART,
    CI,
    DASHBOARD,
    RULES,
    Manifest,
    find,
    of_kind,
    render,
    rendered,
    with_samples,
)
from tests.support.programs import helm

EVERYTHING = CHART / "ci" / "everything-values.yaml"
MONITORING = CHART / "ci" / "monitoring-values.yaml"
AVAILABLE = CHART / "ci" / "available-values.yaml"
DEFAULT = CHART / "ci" / "default-values.yaml"
KINDS_OF_OTHERS = ("Certificate", "ServiceMonitor", "PodMonitor", "PrometheusRule")


def selects(selector: dict[str, str], manifest: Manifest) -> bool:
    return bool(selector.items() <= manifest["metadata"]["labels"].items())


def notes(*sets: str) -> str:
    """What `helm install` says."""
    more = [word for value in sets for word in ("--set", value)]
    return helm(
        "install", "edge.train", CHART, "--namespace", "system", "--dry-run=client", *more
    ).stdout.partition("NOTES:")[2]


def test_nothing_of_others_unless_asked_for() -> None:
    assert not [m for m in rendered(DEFAULT) if m["kind"] in (*KINDS_OF_OTHERS, "PriorityClass")]


def test_as_it_comes_whoever_must_may_dial_the_operator() -> None:
    """Workers come under any address; a scrape or a probe that is kept out is missed by nobody at first."""
    (policy,) = of_kind(rendered(DEFAULT), "NetworkPolicy")
    pod = find(rendered(DEFAULT), "Deployment", "edgetrain-operator")["spec"]["template"]["spec"]
    ports = {port["containerPort"] for port in pod["containers"][0]["ports"]}
    assert [rule.keys() for rule in policy["spec"]["ingress"]] == [{"ports"}, {"ports"}]
    assert {port["port"] for rule in policy["spec"]["ingress"] for port in rule["ports"]} == ports


def test_as_it_comes_the_operator_may_dial_anybody() -> None:
    """Where a cluster has its API server, the chart cannot know."""
    (policy,) = of_kind(rendered(DEFAULT), "NetworkPolicy")
    assert policy["spec"]["policyTypes"] == ["Ingress"] and "egress" not in policy["spec"]
    (closed,) = of_kind(rendered(AVAILABLE), "NetworkPolicy")
    assert closed["spec"]["policyTypes"] == ["Ingress", "Egress"] and closed["spec"]["egress"]


def test_scrapes_show_the_token_that_the_operator_asks_for() -> None:
    (monitor,) = of_kind(rendered(EVERYTHING), "ServiceMonitor")
    pod = find(rendered(EVERYTHING), "Deployment", "edgetrain-operator")["spec"]["template"]["spec"]
    (secret,) = [v["secret"] for v in pod["volumes"] if v["name"] == "metrics-auth"]
    key = {"name": secret["secretName"], "key": secret["items"][0]["key"]}
    assert [e["authorization"]["credentials"] for e in monitor["spec"]["endpoints"]] == [key, key]
    (open_to_all,) = of_kind(rendered(MONITORING), "ServiceMonitor")
    assert not any("authorization" in e for e in open_to_all["spec"]["endpoints"])


def test_certificate_is_for_the_name_that_workers_verify() -> None:
    (certificate,) = of_kind(rendered(CHART / "ci" / "cert-manager-values.yaml"), "Certificate")
    assert certificate["spec"]["dnsNames"] == [names.FLEET_SERVER_NAME]
    pod = find(rendered(CHART / "ci" / "cert-manager-values.yaml"), "Deployment", "edgetrain-operator")[
        "spec"
    ]
    (mounted,) = [v["secret"]["secretName"] for v in pod["template"]["spec"]["volumes"] if "secret" in v]
    assert mounted == certificate["spec"]["secretName"]


def test_ports_are_those_that_the_operator_listens_on() -> None:
    pod = find(rendered(AVAILABLE), "Deployment", "edgetrain-operator")["spec"]["template"]["spec"]
    assert {p["name"]: p["containerPort"] for p in pod["containers"][0]["ports"]} == {
        "fleet": names.FLEET_PORT,
        "metrics": names.OPERATOR_METRICS_PORT,
    }
    (policy,) = of_kind(rendered(AVAILABLE), "NetworkPolicy")
    let_in = [port["port"] for rule in policy["spec"]["ingress"] for port in rule["ports"]]
    assert let_in == [names.FLEET_PORT, names.OPERATOR_METRICS_PORT]


def test_service_monitor_finds_the_metrics_service_alone() -> None:
    (monitor,) = of_kind(rendered(MONITORING), "ServiceMonitor")
    services = of_kind(rendered(MONITORING), "Service")
    found = [s for s in services if selects(monitor["spec"]["selector"]["matchLabels"], s)]
    assert [s["metadata"]["name"] for s in found] == ["edgetrain-metrics"]
    assert {e["port"] for e in monitor["spec"]["endpoints"]} == {p["name"] for p in found[0]["spec"]["ports"]}


def test_pod_monitor_finds_workers_where_their_jobs_are() -> None:
    (everywhere,) = of_kind(rendered(MONITORING), "PodMonitor")
    assert everywhere["spec"]["selector"]["matchLabels"] == {names.COMPONENT_LABEL: WORKER}
    assert everywhere["spec"]["namespaceSelector"] == {"any": True}
    assert everywhere["spec"]["podMetricsEndpoints"][0]["port"] == names.METRICS_PORT_NAME
    (somewhere,) = of_kind(rendered(EVERYTHING), "PodMonitor")
    assert somewhere["spec"]["namespaceSelector"] == {"matchNames": ["team-a"]}


def test_rules_and_dashboards_arrive_as_they_are_written(tmp_path: Path) -> None:
    manifests = render(MONITORING, chart=with_samples(tmp_path))
    (rule,) = of_kind(manifests, "PrometheusRule")
    assert rule["spec"] == RULES
    (dashboard,) = [
        m for m in of_kind(manifests, "ConfigMap") if m["metadata"]["labels"]["grafana_dashboard"] == "1"
    ]
    assert dashboard["data"] == {"edgetrain-sample.json": DASHBOARD}


def test_alerts_link_to_their_runbooks_where_these_can_be_read(tmp_path: Path) -> None:
    (rule,) = of_kind(render(EVERYTHING, chart=with_samples(tmp_path)), "PrometheusRule")
    (alert,) = rule["spec"]["groups"][0]["rules"]
    page = "https://git.example.org/edgetrain/blob/main/docs/runbooks/sample.md"
    assert alert["annotations"]["runbook_url"] == page


def test_the_charts_own_rules_and_dashboards_are_all_there() -> None:
    manifests = rendered(MONITORING)
    groups = [g for m in of_kind(manifests, "PrometheusRule") for g in m["spec"]["groups"]]
    files = sorted((CHART / "files" / "rules").glob("*.yaml"))
    assert groups == [g for path in files for g in yaml.safe_load(path.read_text())["groups"]]
    boards = [json.loads(text) for m in of_kind(manifests, "ConfigMap") for text in m["data"].values()]
    assert boards == [
        json.loads(p.read_text()) for p in sorted((CHART / "files" / "dashboards").glob("*.json"))
    ]


@pytest.mark.parametrize("values", CI, ids=lambda p: p.stem)
def test_services_pick_the_operators_pods_and_no_other(values: Path) -> None:
    """A test's pod behind the fleet's Service would be dialled by workers."""
    template = find(rendered(values), "Deployment", "edgetrain-operator")["spec"]["template"]
    test = find(rendered(values), "Pod", "edgetrain-test")
    for service in of_kind(rendered(values), "Service"):
        assert selects(service["spec"]["selector"], template)
        assert not selects(service["spec"]["selector"], test)


def test_test_pod_and_replicas_may_dial_where_few_others_may() -> None:
    (policy,) = of_kind(rendered(EVERYTHING), "NetworkPolicy")
    peers = policy["spec"]["ingress"][0]["from"]
    within = [p["podSelector"]["matchLabels"] for p in peers if "podSelector" in p]
    for pod in (
        find(rendered(EVERYTHING), "Pod", "edgetrain-test"),
        find(rendered(EVERYTHING), "Deployment", "edgetrain-operator")["spec"]["template"],
    ):
        assert any(selects(selector, pod) for selector in within)


def test_test_pod_sees_no_key() -> None:
    for values in CI:
        volumes = find(rendered(values), "Pod", "edgetrain-test")["spec"]["volumes"]
        secrets = [volume["secret"] for volume in volumes if "secret" in volume]
        assert [[item["key"] for item in secret["items"]] for secret in secrets] == [["ca.crt"]]


def test_replicas_are_spread_by_a_selector_of_their_own() -> None:
    template = find(rendered(AVAILABLE), "Deployment", "edgetrain-operator")["spec"]["template"]
    constraints = template["spec"]["topologySpreadConstraints"]
    assert [c["topologyKey"] for c in constraints] == [
        "kubernetes.io/hostname",
        "topology.kubernetes.io/zone",
    ]
    assert all(selects(c["labelSelector"]["matchLabels"], template) for c in constraints)
    given = find(rendered(EVERYTHING), "Deployment", "edgetrain-operator")["spec"]["template"]["spec"]
    assert given["topologySpreadConstraints"][0]["labelSelector"] == {
        "matchLabels": {"example.org/cost": "edge"}
    }


def test_operator_uses_the_priority_class_that_is_made() -> None:
    for values in (AVAILABLE, EVERYTHING):
        (made,) = of_kind(rendered(values), "PriorityClass")
        pod = find(rendered(values), "Deployment", "edgetrain-operator")["spec"]["template"]["spec"]
        assert pod["priorityClassName"] == made["metadata"]["name"]


def test_people_may_see_or_change_jobs_by_the_clusters_own_roles() -> None:
    mark = "rbac.authorization.k8s.io/aggregate-to-"
    roles = {role["metadata"]["name"]: role for role in of_kind(rendered(DEFAULT), "ClusterRole")}
    into = {
        name: {label.removeprefix(mark) for label in role["metadata"]["labels"] if label.startswith(mark)}
        for name, role in roles.items()
    }
    assert into == {
        "edgetrain-operator": set(),
        "edgetrain-jobs-viewer": {"view", "edit", "admin"},
        "edgetrain-jobs-editor": {"edit", "admin"},
        "edgetrain-runtimes": set(),
    }
    seeing = {verb for rule in roles["edgetrain-jobs-viewer"]["rules"] for verb in rule["verbs"]}
    assert seeing == {"get", "list", "watch"}
    changed = {r for rule in roles["edgetrain-jobs-editor"]["rules"] for r in rule["resources"]}
    assert "edgetrainingjobs/status" not in changed, "that is the operator's"


def test_an_upgrade_of_the_chart_alone_restarts_nothing(tmp_path: Path) -> None:
    newer = with_samples(tmp_path)
    text = (newer / "Chart.yaml").read_text()
    (newer / "Chart.yaml").write_text(text.replace("version: 0.1.0", "version: 0.2.0"))
    before, after = (
        find(m, "Deployment", "edgetrain-operator")["spec"]
        for m in (rendered(DEFAULT), render(DEFAULT, chart=newer))
    )
    assert before == after


def test_name_of_a_release_may_hold_dots_and_be_long() -> None:
    name = "edge.train." + "x" * 42
    text = helm("template", name, CHART, "--namespace", "system").stdout
    manifests = [m for m in yaml.safe_load_all(text) if m]
    services = [m["metadata"]["name"] for m in of_kind(manifests, "Service")]
    assert not any("." in service for service in services)
    assert max(len(m["metadata"]["name"]) for m in manifests if m["kind"] != "CustomResourceDefinition") <= 63
    (test,) = of_kind(manifests, "Pod")
    service = services[0].upper().replace("-", "_")
    assert test["spec"]["containers"][0]["args"][:2] == [
        f"$({service}_SERVICE_HOST)",
        f"$({service}_SERVICE_PORT)",
    ]


@pytest.mark.parametrize(
    ("sets", "says"),
    [
        ((), "helm -n system test edge.train"),
        ((), "helm install NAME CHART --take-ownership"),
        ((), "fleet.service.type to NodePort"),
        (
            ("fleet.service.type=LoadBalancer",),
            "get service edge-train-fleet -o jsonpath='{.status.loadBalancer",
        ),
        (("fleet.service.type=NodePort",), "{.spec.ports[0].nodePort}"),
        (
            ("fleet.tls.source=cert-manager", "fleet.tls.certManager.issuerRef.name=x"),
            "get certificate edge-train-fleet",
        ),
        (("fleet.tls.source=secret", "fleet.tls.secretName=mine"), "until Secret mine is there"),
        (("crds.enabled=false",), "--set crds.enabled=true --take-ownership"),
        (("crds.keep=false",), "with them all jobs of the cluster"),
        (("metrics.podMonitor.enabled=true",), "Set metrics.*.labels"),
        (("metrics.auth.secretName=scrapes",), "until Secret scrapes is there"),
        ((), "name these in jobs.networkPolicy.from"),
        ((), "The operator may dial anybody"),
    ],
)
def test_notes_say_what_comes_next(sets: tuple[str, ...], says: str) -> None:
    assert says in notes(*sets)


@pytest.mark.parametrize(
    ("value", "words"),
    [
        ("fleet.address=cloud.example.org:30443", "cluster's DNS"),
        ("jobs.networkPolicy.enabled=false", "jobs.networkPolicy.from"),
        ("networkPolicy.egress.enabled=true", "The operator may dial anybody"),
    ],
)
def test_notes_say_nothing_of_what_is_settled(value: str, words: str) -> None:
    assert words not in notes(value)
