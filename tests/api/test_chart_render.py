"""The chart as Helm renders it, and as an API server takes it."""

from collections.abc import Iterator
from copy import deepcopy
from pathlib import Path
from typing import Any

import pytest
import yaml

from edgetrain_operator.settings import Settings
from tests.support.apiserver import ApiServer
from tests.support.programs import helm

CHART = Path(__file__).parents[2] / "charts" / "edgetrain"
CI = sorted((CHART / "ci").glob("*-values.yaml"))
EVERYTHING = yaml.safe_load((CHART / "ci" / "everything-values.yaml").read_text())
DEFAULTS = yaml.safe_load((CHART / "values.yaml").read_text())
WHOLE = ("annotations", "podAnnotations", "nodeSelector", "affinity", "limits", "requests")

Manifest = dict[str, Any]


def render(values: Path, *more: str) -> list[Manifest]:
    text = helm("template", "edgetrain", CHART, "--namespace", "system", "--values", values, *more).stdout
    return [manifest for manifest in yaml.safe_load_all(text) if manifest]


def find(manifests: list[Manifest], kind: str, name: str) -> Manifest:
    return next(m for m in manifests if m["kind"] == kind and m["metadata"]["name"] == name)


@pytest.mark.parametrize("values", CI, ids=lambda p: p.stem)
def test_lint_is_content(values: Path) -> None:
    helm("lint", "--strict", CHART, "--values", values)


@pytest.mark.parametrize("values", CI, ids=lambda p: p.stem)
def test_api_server_takes_all_of_it(bare_api: ApiServer, values: Path) -> None:
    """Every object, checked against its schema with unknown fields refused, but not kept."""
    manifests = render(values)
    for name in ("system", "team-a", "team-b"):
        bare_api.apply({"apiVersion": "v1", "kind": "Namespace", "metadata": {"name": name}})
    bare_api.kubectl(
        *("create", "--dry-run=server", "--validate=strict", "-f", "-"), stdin=yaml.safe_dump_all(manifests)
    )


@pytest.mark.parametrize("values", CI, ids=lambda p: p.stem)
def test_operator_pod_passes_restricted(api: ApiServer, namespace: str, values: Path) -> None:
    pod = find(render(values), "Deployment", "edgetrain-operator")["spec"]["template"]
    # Neither is there without controllers, and neither is what Pod Security looks at.
    pod["spec"] |= {"serviceAccountName": "default", "priorityClassName": ""}
    manifest = {"apiVersion": "v1", "kind": "Pod", **pod}
    manifest["metadata"] |= {"name": "operator", "namespace": namespace}
    api.kubectl("create", "--dry-run=server", "-f", "-", stdin=yaml.safe_dump(manifest))


def leaves(tree: Manifest, path: tuple[str, ...] = ()) -> Iterator[tuple[str, ...]]:
    for key, value in tree.items():
        if isinstance(value, dict) and key not in WHOLE:
            yield from leaves(value, (*path, key))
        else:
            yield (*path, key)


def back(path: tuple[str, ...]) -> Manifest:
    """Everything set but this one value, which is as it comes."""
    values: Manifest = deepcopy(EVERYTHING)
    default = DEFAULTS
    inner = values
    for key in path[:-1]:
        inner, default = inner[key], default[key]
    inner[path[-1]] = not inner[path[-1]] if path == ("crds", "enabled") else default[path[-1]]
    if path == ("fleet", "service", "type"):
        inner[path[-1]] = "NodePort"  # the default takes no nodePort
    return values


@pytest.mark.parametrize("path", list(leaves(EVERYTHING)), ids=".".join)
def test_every_value_makes_a_difference(tmp_path: Path, path: tuple[str, ...]) -> None:
    (tmp_path / "values.yaml").write_text(yaml.safe_dump(back(path)))
    assert render(tmp_path / "values.yaml") != render(CHART / "ci" / "everything-values.yaml")


@pytest.mark.parametrize(
    ("wrong", "says"),
    [
        ("replicas=2", "replicas"),
        ("replicaCount=two", "replicaCount"),
        ("fleet.address=cloud.example.org", "fleet"),
        ("fleet.service.nodePort=30443", "nodePort|type"),
        ("operator.logLevel=LOUD", "logLevel"),
        ("trainer.image.pullPolicy=Sometimes", "pullPolicy"),
        ("watchNamespaces={Team_A}", "watchNamespaces"),
    ],
)
def test_wrong_values_are_refused(wrong: str, says: str) -> None:
    done = helm("template", "edgetrain", CHART, "--set", wrong, check=False)
    assert done.returncode != 0
    assert any(word in done.stderr for word in says.split("|"))


@pytest.mark.parametrize("values", CI, ids=lambda p: p.stem)
def test_operator_understands_its_environment(values: Path) -> None:
    pod = find(render(values), "Deployment", "edgetrain-operator")["spec"]["template"]["spec"]
    env = {e["name"]: str(e.get("value", "given by the kubelet")) for e in pod["containers"][0]["env"]}
    settings = Settings.from_env(env)
    assert len({name for name in env if name.startswith("EDGETRAIN_OPERATOR_")}) == len(env)
    assert settings.trainer_image.endswith((":dev", ":v8"))
    roles = [m for m in render(values) if m["kind"] == "Role"]
    named = {name for m in roles for rule in m["rules"] for name in rule.get("resourceNames", ())}
    assert named == {settings.lease_name, settings.keyring_secret}


def test_rights_in_other_namespaces_only_where_jobs_are() -> None:
    manifests = render(CHART / "ci" / "namespaced-values.yaml")
    everywhere = find(manifests, "ClusterRole", "edgetrain-operator")
    assert [rule["resources"] for rule in everywhere["rules"]] == [["nodes"]]
    bound = {m["metadata"]["namespace"] for m in manifests if m["kind"] == "RoleBinding"}
    assert bound == {"system", "team-a", "team-b"}


def test_no_right_to_read_users_secrets() -> None:
    for values in CI:
        for manifest in render(values):
            for rule in manifest.get("rules", ()):
                if "secrets" in rule["resources"] and set(rule["verbs"]) != {"create"}:
                    assert rule.get("resourceNames") == ["edgetrain-operator-keyring"]


def test_crd_stays_where_it_is_kept() -> None:
    policy = "helm.sh/resource-policy"
    kept = find(
        render(CHART / "ci" / "edge-values.yaml"), "CustomResourceDefinition", "edgetrainingjobs.edgetrain.io"
    )
    assert kept["metadata"]["annotations"][policy] == "keep"
    gone = render(CHART / "ci" / "everything-values.yaml")
    assert policy not in find(gone, "CustomResourceDefinition", "edgetrainingjobs.edgetrain.io")[
        "metadata"
    ].get("annotations", {})
