"""The real Kueue's controller on a test's API server, with its CRDs and the webhooks of its own kinds."""

import base64
import json
import shutil
import subprocess
from collections.abc import Iterator
from contextlib import contextmanager
from pathlib import Path
from typing import Any

import yaml

from benchmarks.waiting import wait_for
from edgelab.kueue import NAMESPACE, configuration, is_ready
from edgelab.pki import Authority, Pair
from edgelab.programs.acquire import acquire
from edgelab.programs.build import source
from edgelab.programs.pinned import KUEUE, KUEUE_MODULE
from edgetrain_local.ports import free_ports
from tests.support.apiserver import ApiServer

START_SECONDS = 120.0
_METRICS_CERTIFICATE = "kueue/metrics/certs"
"""Below /etc, with no way to say otherwise. It has to be there where the certificates are others' doing."""
_IN_AN_ETC_OF_ITS_OWN = (
    'mount -t overlay overlay -o "lowerdir=/etc,upperdir=$0,workdir=$1" /etc && shift && exec "$@"'
)


@contextmanager
def running_kueue(api: ApiServer, directory: Path) -> Iterator[None]:
    """Start it, and wait until it is ready (root)."""
    program = acquire(print, [KUEUE])["kueue"]
    parts = source(KUEUE, KUEUE_MODULE) / "config" / "components"
    api.apply({"apiVersion": "v1", "kind": "Namespace", "metadata": {"name": NAMESPACE}})
    for path in sorted((parts / "crd" / "bases").glob("*.yaml")):
        api.kubectl("apply", "--server-side", "-f", str(path))
    api.kubectl("wait", "--for=condition=Established", "crd", "--all", "--timeout=60s")
    # Established is not yet known to who asks which kinds there are.
    wait_for(lambda: "workloads" in api.kubectl("api-resources", "--api-group=kueue.x-k8s.io").stdout, 30)
    authority, certificates, etc = _certificates(directory)
    webhook_port, health_port = free_ports(2)
    file = directory / "configuration.json"
    ours = {"internalCertManagement": {"enable": False}}
    file.write_text(json.dumps(configuration(certificates, webhook_port, health_port) | ours))
    work = directory / "work"
    work.mkdir()
    argv = [str(program), f"--config={file}", f"--kubeconfig={api.kubeconfig}"]
    log = directory / "kueue.log"
    with log.open("wb") as stream:
        process = subprocess.Popen(
            ["unshare", "--mount", "sh", "-c", _IN_AN_ETC_OF_ITS_OWN, str(etc), str(work), *argv],
            stdout=stream,
            stderr=stream,
        )
    try:
        wait_for(lambda: is_ready("127.0.0.1", health_port), START_SECONDS, lambda: log.read_text()[-2000:])
        for hooks in yaml.safe_load_all((parts / "webhook" / "manifests.yaml").read_text()):
            api.apply(_dialled_directly(hooks, webhook_port, authority))
        yield
    finally:
        process.kill()
        process.wait()


def _certificates(directory: Path) -> tuple[Authority, Path, Path]:
    """Of the webhooks; and what /etc has more for it."""
    authority, certificates = Authority.create(directory / "pki"), directory / "certificates"
    pair = authority.issue(Pair.at(directory / "pki", "webhook"), "webhook", hosts=["127.0.0.1"])
    etc = directory / "etc"
    for place in (certificates, etc / _METRICS_CERTIFICATE):
        place.mkdir(parents=True)
        shutil.copy(pair.certificate, place / "tls.crt")
        shutil.copy(pair.key, place / "tls.key")
    return authority, certificates, etc


def _dialled_directly(hooks: dict[str, Any], port: int, authority: Authority) -> dict[str, Any]:
    """Those of its own kinds, at their address: no Service leads anywhere here."""
    ca = base64.b64encode(authority.files.certificate.read_bytes()).decode()
    own = [w for w in hooks["webhooks"] if any("kueue.x-k8s.io" in rule["apiGroups"] for rule in w["rules"])]
    for webhook in own:
        path = webhook["clientConfig"]["service"]["path"]
        webhook["clientConfig"] = {"url": f"https://127.0.0.1:{port}{path}", "caBundle": ca}
    return hooks | {"webhooks": own}
