"""Each set of values that the chart brings, installed under `restricted` and judged by `helm test`."""

import json
import ssl
from collections.abc import Callable, Iterator
from datetime import UTC, datetime
from pathlib import Path

import pytest

from benchmarks.waiting import wait_for
from edgelab.lab import Lab
from edgetrain_operator.fleet import ca
from edgetrain_protocol.names import FLEET_PORT, GROUP, PLURAL
from tests.support.chart import CHART, CI, SCHEMAS
from tests.support.pods import Json, apply, get

pytestmark = pytest.mark.lab

RELEASE = "ci"
IN_THE_LAB = {
    # The lab's own image, and nodes that reach the API server.
    "image": {"repository": "edgetrain/operator", "tag": "dev", "digest": "", "pullPolicy": "IfNotPresent"},
    "nodeSelector": {"node-role.kubernetes.io/cloud": ""},
    # The CRD is another release's here; tests/api changes hands with it.
    "crds": {"enabled": False},
}
CERTIFICATES = ("fleet-certificate", f"{RELEASE}-fleet-tls")
"""Secrets that nobody fills here: cert-manager does not run."""

Install = Callable[[Path], str]


@pytest.fixture(scope="module")
def authority() -> ca.KeyPair:
    return ca.make_authority(datetime.now(UTC))


@pytest.fixture
def install(lab: Lab, operator: str, namespace: str, authority: ca.KeyPair) -> Iterator[Install]:
    """Install these values in the test's namespace; returns once all replicas are Ready."""
    for path in SCHEMAS:
        lab.kubectl("apply", "--server-side", "-f", str(path))
    lab.kubectl("wait", "--for=condition=Established", "crd", "--all", "--timeout=30s")
    for name in ("team-a", "team-b"):
        apply(lab, "default", {"apiVersion": "v1", "kind": "Namespace", "metadata": {"name": name}})
    apply(lab, namespace, secret("remote-write", {"bearer": "of no use"}))
    apply(lab, namespace, secret("scrapes", {"bearer": "of no use", "token": "of no use"}))
    for name in CERTIFICATES:
        fill(lab, namespace, name, ca.make_serving(authority, datetime.now(UTC)), authority)

    def install(values: Path) -> str:
        # Its own namespace alone, where the file does not say: the jobs of other tests are not its business.
        where = (
            () if "watchNamespaces" in values.read_text() else ("--set", f"watchNamespaces={{{namespace}}}")
        )
        sets = [f"--set-json={key}={json.dumps(value)}" for key, value in IN_THE_LAB.items()]
        lab.helm("install", RELEASE, CHART, "-n", namespace, "--values", values, *sets, *where)
        rollout = ("rollout", "status", f"deployment/{RELEASE}-operator", "--timeout=90s")
        lab.kubectl("-n", namespace, *rollout, timeout=100)
        return namespace

    yield install
    lab.helm("uninstall", RELEASE, "-n", namespace, "--ignore-not-found")


def secret(name: str, texts: dict[str, str]) -> Json:
    return {"apiVersion": "v1", "kind": "Secret", "metadata": {"name": name}, "stringData": texts}


def fill(lab: Lab, namespace: str, name: str, pair: ca.KeyPair, authority: ca.KeyPair) -> None:
    """A Secret as cert-manager fills it."""
    files = {"tls.crt": pair.certificate, "tls.key": pair.key, "ca.crt": authority.certificate}
    apply(lab, namespace, secret(name, files))


@pytest.mark.parametrize("values", CI, ids=lambda p: p.stem)
def test_installed_and_found_to_work(lab: Lab, install: Install, values: Path) -> None:
    namespace = install(values)
    lab.helm("test", RELEASE, "-n", namespace, "--timeout", "90s", timeout=100)
    # Helm takes the pod away that found nothing wrong.
    wait_for(lambda: f"{RELEASE}-test" not in lab.kubectl("-n", namespace, "get", "pods", "-o", "name"))


def test_certificate_renewed_in_its_secret_is_served_without_a_restart(
    lab: Lab, install: Install, authority: ca.KeyPair
) -> None:
    namespace = install(CHART / "ci" / "secret-values.yaml")
    labels = ("-l", "app.kubernetes.io/name=edgetrain-operator")
    (before,) = json.loads(lab.kubectl("-n", namespace, "get", "pods", *labels, "-o", "json"))["items"]
    renewal = ca.make_serving(authority, datetime.now(UTC))
    fill(lab, namespace, "fleet-certificate", renewal, authority)
    address = (before["status"]["podIP"], FLEET_PORT)
    # The kubelet brings it with its next look at the pod, after a minute or so.
    wait_for(lambda: ssl.get_server_certificate(address) == renewal.certificate, 180)
    after = get(lab, namespace, "pod", before["metadata"]["name"])
    assert [status["restartCount"] for status in after["status"]["containerStatuses"]] == [0]


def may(lab: Lab, namespace: str, user: str, verb: str) -> bool:
    about = {"namespace": namespace, "verb": verb, "group": GROUP, "resource": PLURAL}
    review = {
        "apiVersion": "authorization.k8s.io/v1",
        "kind": "SubjectAccessReview",
        "spec": {"user": user, "resourceAttributes": about},
    }
    answer = lab.kubectl("create", "-f", "-", "-o", "json", stdin=json.dumps(review))
    return bool(json.loads(answer)["status"]["allowed"])


def test_the_clusters_own_roles_let_people_see_and_change_jobs(
    lab: Lab, operator: str, namespace: str
) -> None:
    for role in ("view", "edit", "admin"):
        lab.kubectl(
            "-n", namespace, "create", "rolebinding", role, f"--clusterrole={role}", f"--user=some-{role}"
        )
    # The controller manager gathers their rules.
    wait_for(lambda: may(lab, namespace, "some-view", "list"))
    wait_for(lambda: may(lab, namespace, "some-admin", "deletecollection"))
    assert may(lab, namespace, "some-edit", "create")
    assert not may(lab, namespace, "some-view", "create")
    assert not may(lab, namespace, "some-stranger", "get")
