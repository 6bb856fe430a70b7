"""Installing, changing and removing the chart, on a server of its own: a CRD is there once for all."""

import json
from collections.abc import Iterator
from pathlib import Path

import pytest

from edgetrain_protocol.crd import custom_resource_definition
from tests.support.apiserver import ApiServer, running
from tests.support.programs import helm

ROOT = Path(__file__).parents[2]
CHART = ROOT / "charts" / "edgetrain"
CRD = custom_resource_definition()["metadata"]["name"]
INTO = ("--namespace", "system", "--create-namespace")


@pytest.fixture
def server(tmp_path: Path) -> Iterator[ApiServer]:
    with running(tmp_path) as started:
        yield started


def install(server: ApiServer, release: str, *more: str) -> str:
    """`helm install`, without waiting: nothing runs here. What helm complained about, empty if it did not."""
    done = helm("install", release, CHART, *INTO, *more, "--kubeconfig", server.kubeconfig, check=False)
    return done.stderr if done.returncode else ""


def uninstall(server: ApiServer, release: str) -> None:
    where = ("--namespace", "system", "--kubeconfig", server.kubeconfig)
    helm("uninstall", release, "--ignore-not-found", *where)


def test_jobs_outlive_the_chart_and_meet_the_next(server: ApiServer) -> None:
    assert install(server, "first") == ""
    server.kubectl("wait", "--for=condition=Established", f"crd/{CRD}", "--timeout=30s")
    server.kubectl("create", "-f", str(ROOT / "examples" / "digits.yaml"))
    uninstall(server, "first")
    assert server.kubectl("get", "etj", "digits", "-o", "name").stdout
    gone = server.kubectl(
        "get", "deploy,svc,sa,role,rolebinding", "-n", "system", "-o", "name"
    ).stdout.split()
    assert gone in ([], ["serviceaccount/default"])

    # The CRD bears the first release's name: another release has to leave it alone.
    assert "invalid ownership metadata" in install(server, "second")
    uninstall(server, "second")
    assert install(server, "second", "--set", "crds.enabled=false") == ""
    assert server.kubectl("get", "etj", "digits", "-o", "name").stdout
    uninstall(server, "second")
    assert install(server, "first") == ""
    uninstall(server, "first")


def test_two_releases_share_nothing_but_the_crd(server: ApiServer) -> None:
    assert install(server, "one") == ""
    assert install(server, "two", "--set", "crds.enabled=false", "--set", "watchNamespaces={default}") == ""
    kinds = "deploy,svc,sa,role,rolebinding,clusterrole,clusterrolebinding"
    found = json.loads(server.kubectl("get", kinds, "-A", "-o", "json").stdout)["items"]
    release = "app.kubernetes.io/instance"
    ours = [m["metadata"] for m in found if m["metadata"].get("labels", {}).get(release) in ("one", "two")]
    assert len(ours) > 14
    assert all(m["name"].startswith(m["labels"][release]) for m in ours)
    for name in ("one", "two"):
        uninstall(server, name)
