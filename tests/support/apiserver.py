"""A real etcd and kube-apiserver on loopback: RBAC, Pod Security and service accounts on, nothing loosened.

No controllers run: no pod starts, no namespace gets a ServiceAccount by itself.
"""

import subprocess
import time
import urllib.error
import urllib.request
from collections.abc import Iterator
from contextlib import contextmanager
from dataclasses import dataclass
from pathlib import Path
from ssl import create_default_context

import yaml
from cryptography.hazmat.primitives import serialization
from cryptography.hazmat.primitives.asymmetric import rsa

from edgetrain_local.ports import free_ports
from edgetrain_protocol.names import GROUP, PLURAL, RUNTIME_PLURAL
from tests.support.programs import api_server, program

ADMIN_TOKEN = "the-only-administrator-of-a-throw-away-server"
START_SECONDS = 60.0
CRDS = Path(__file__).parents[2] / "crds"


@dataclass(frozen=True)
class ApiServer:
    """A running server. `kubeconfig` is the administrator's; `audit_log` holds one JSON event a line."""

    url: str
    kubeconfig: Path
    ca_file: Path
    audit_log: Path
    kubectl_path: Path
    token: str = ADMIN_TOKEN

    def kubectl(
        self, *args: str, stdin: str | None = None, check: bool = True
    ) -> subprocess.CompletedProcess[str]:
        """Run kubectl as administrator.

        Raises:
            AssertionError: it failed and `check` is set; the text is what it printed.
        """
        command = [str(self.kubectl_path), "--kubeconfig", str(self.kubeconfig), *args]
        done = subprocess.run(command, input=stdin, capture_output=True, text=True, timeout=60)
        if check and done.returncode:
            raise AssertionError(f"kubectl {' '.join(args)}: {done.stderr.strip()}")
        return done

    def apply(self, *manifests: object) -> None:
        """Create or change objects given as plain data."""
        self.kubectl("apply", "-f", "-", stdin=yaml.safe_dump_all(manifests))


def establish(server: ApiServer) -> ApiServer:
    """Have it know our CRDs."""
    server.kubectl("apply", "--server-side", "-f", str(CRDS))
    names = [f"crd/{plural}.{GROUP}" for plural in (PLURAL, RUNTIME_PLURAL)]
    server.kubectl("wait", "--for=condition=Established", *names, "--timeout=30s")
    return server


@contextmanager
def running(directory: Path) -> Iterator[ApiServer]:
    """Start a server that keeps everything in `directory`; gone on leaving, whatever happened."""
    client, peer, secure = free_ports(3)
    started: list[subprocess.Popen[bytes]] = []
    try:
        started.append(_start(directory, "etcd", _etcd(directory, client, peer)))
        started.append(_start(directory, "kube-apiserver", _apiserver(directory, client, secure)))
        url = f"https://127.0.0.1:{secure}"
        ca_file = directory / "certs" / "apiserver.crt"
        _wait_ready(url, ca_file, started, directory)
        yield ApiServer(
            url, _kubeconfig(directory, url, ca_file), ca_file, directory / "audit.log", program("kubectl")
        )
    finally:
        for process in reversed(started):
            process.kill()
            process.wait()


def _start(directory: Path, name: str, command: list[str]) -> subprocess.Popen[bytes]:
    with (directory / f"{name}.log").open("wb") as log:
        return subprocess.Popen(command, stdout=log, stderr=log, stdin=subprocess.DEVNULL)


def _etcd(directory: Path, client: int, peer: int) -> list[str]:
    url, peer_url = f"http://127.0.0.1:{client}", f"http://127.0.0.1:{peer}"
    # --unsafe-no-fsync: the data lives as long as the test, and a slow disk would cost seconds.
    return [
        str(program("etcd")),
        f"--data-dir={directory / 'etcd'}",
        "--unsafe-no-fsync",
        f"--listen-client-urls={url}",
        f"--advertise-client-urls={url}",
        f"--listen-peer-urls={peer_url}",
        f"--initial-advertise-peer-urls={peer_url}",
        f"--initial-cluster=default={peer_url}",
    ]


def _apiserver(directory: Path, etcd: int, secure: int) -> list[str]:
    key, tokens, policy = directory / "sa.key", directory / "tokens.csv", directory / "audit.yaml"
    private = rsa.generate_private_key(public_exponent=65537, key_size=2048)
    pem, plain = serialization.Encoding.PEM, serialization.NoEncryption()
    key.write_bytes(private.private_bytes(pem, serialization.PrivateFormat.TraditionalOpenSSL, plain))
    tokens.write_text(f'{ADMIN_TOKEN},admin,admin,"system:masters"\n')
    rules = [{"level": "Metadata", "omitStages": ["RequestReceived"]}]
    policy.write_text(yaml.safe_dump({"apiVersion": "audit.k8s.io/v1", "kind": "Policy", "rules": rules}))
    return [
        str(api_server()),
        f"--etcd-servers=http://127.0.0.1:{etcd}",
        f"--secure-port={secure}",
        "--bind-address=127.0.0.1",
        "--advertise-address=127.0.0.1",
        "--endpoint-reconciler-type=none",
        f"--cert-dir={directory / 'certs'}",
        f"--token-auth-file={tokens}",
        "--authorization-mode=Node,RBAC",
        "--enable-admission-plugins=NodeRestriction",
        "--service-cluster-ip-range=10.0.0.0/24",
        "--service-account-issuer=https://kubernetes.default.svc",
        f"--service-account-key-file={key}",
        f"--service-account-signing-key-file={key}",
        f"--audit-policy-file={policy}",
        f"--audit-log-path={directory / 'audit.log'}",
    ]


def _wait_ready(url: str, ca_file: Path, started: list[subprocess.Popen[bytes]], directory: Path) -> None:
    deadline = time.monotonic() + START_SECONDS
    while not _ready(url, ca_file):
        dead = [p for p in started if p.poll() is not None]
        if dead or time.monotonic() > deadline:
            logs = "".join(path.read_text()[-2000:] for path in sorted(directory.glob("*.log")))
            raise RuntimeError(f"the API server did not become ready:\n{logs}")
        time.sleep(0.05)


def _ready(url: str, ca_file: Path) -> bool:
    try:
        context = create_default_context(cafile=str(ca_file))
        request = urllib.request.Request(f"{url}/readyz", headers={"Authorization": f"Bearer {ADMIN_TOKEN}"})
        with urllib.request.urlopen(request, timeout=5, context=context) as answer:
            return bool(answer.status == 200)
    except (OSError, urllib.error.URLError):
        return False


def _kubeconfig(directory: Path, url: str, ca_file: Path) -> Path:
    path = directory / "kubeconfig"
    named = {
        "clusters": [{"name": "c", "cluster": {"server": url, "certificate-authority": str(ca_file)}}],
        "users": [{"name": "u", "user": {"token": ADMIN_TOKEN}}],
        "contexts": [{"name": "x", "context": {"cluster": "c", "user": "u"}}],
    }
    path.write_text(yaml.safe_dump({"apiVersion": "v1", "kind": "Config", "current-context": "x", **named}))
    return path
