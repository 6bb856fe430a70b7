"""Installing, changing and removing the chart, on a server of its own: a CRD is there once for all."""

import json
from collections.abc import Iterator
from pathlib import Path

import pytest

from edgetrain_protocol.crd import custom_resource_definition
from tests.support.apiserver import ApiServer, running
from tests.support.chart import CHART, CI, teach_others_kinds
from tests.support.programs import helm

ROOT = Path(__file__).parents[2]
CRD = custom_resource_definition()["metadata"]["name"]
DEFAULT = CHART / "ci" / "default-values.yaml"
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


def owner_of_crd(server: ApiServer) -> str:
    found = json.loads(server.kubectl("get", "crd", CRD, "-o", "json").stdout)
    return str(found["metadata"]["annotations"]["meta.helm.sh/release-name"])


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

    # As the notes say: taken over, from then on the CRD is the new release's, and stays when that goes.
    assert install(server, "second", "--take-ownership") == ""
    assert owner_of_crd(server) == "second"
    uninstall(server, "second")
    assert server.kubectl("get", "etj", "digits", "-o", "name").stdout


def one_after_another() -> Iterator[Path]:
    """All sets of values, and all once more from last to first.

    From one class of load balancers to another Kubernetes wants another type between, as the values say.
    """
    before = DEFAULT
    for values in (*CI, *reversed(CI)):
        if "LoadBalancer" in before.read_text() and "LoadBalancer" in values.read_text():
            yield DEFAULT
        yield values
        before = values


def test_any_values_may_follow_any_others(server: ApiServer) -> None:
    """No field that an upgrade would change is one that may not be; the job stays through all of them."""
    teach_others_kinds(server)
    for name in ("team-a", "team-b"):
        server.apply({"apiVersion": "v1", "kind": "Namespace", "metadata": {"name": name}})
    assert install(server, "edgetrain") == ""
    server.kubectl("wait", "--for=condition=Established", f"crd/{CRD}", "--timeout=30s")
    server.kubectl("create", "-f", str(ROOT / "examples" / "digits.yaml"))
    where = ("--namespace", "system", "--kubeconfig", server.kubeconfig)
    for values in one_after_another():
        helm("upgrade", "edgetrain", CHART, *where, "--reset-values", "--values", values)
    uninstall(server, "edgetrain")
    assert server.kubectl("get", "etj", "digits", "-o", "name").stdout
    kinds = (
        "deploy,svc,sa,role,rolebinding,clusterrole,clusterrolebinding,pdb,networkpolicy,priorityclass,"
        "configmap,servicemonitor,podmonitor,prometheusrule,certificate,"
        "validatingadmissionpolicy,validatingadmissionpolicybinding"
    )
    ours = ("-l", "app.kubernetes.io/instance=edgetrain")
    assert server.kubectl("get", kinds, "-A", *ours, "-o", "name").stdout == ""


def test_two_releases_share_nothing_but_the_crd(server: ApiServer) -> None:
    assert install(server, "one") == ""
    assert install(server, "two", "--set", "crds.enabled=false", "--set", "watchNamespaces={default}") == ""
    kinds = (
        "deploy,svc,sa,role,rolebinding,clusterrole,clusterrolebinding,"
        "validatingadmissionpolicy,validatingadmissionpolicybinding"
    )
    found = json.loads(server.kubectl("get", kinds, "-A", "-o", "json").stdout)["items"]
    release = "app.kubernetes.io/instance"
    ours = [m["metadata"] for m in found if m["metadata"].get("labels", {}).get(release) in ("one", "two")]
    assert len(ours) > 14
    assert all(m["name"].startswith(m["labels"][release]) for m in ours)
    for name in ("one", "two"):
        uninstall(server, name)
