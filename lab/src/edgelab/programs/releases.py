"""The official releases, verified by the hashes that are published beside them."""

import hashlib
import io
import platform
import tarfile
import threading
import urllib.error
import urllib.request
from collections.abc import Callable
from dataclasses import dataclass
from pathlib import Path

from edgelab.errors import LabError
from edgelab.programs.pinned import (
    ETCD_VERSION,
    HELM_VERSION,
    KUBEEDGE_VERSION,
    KUBERNETES_VERSION,
    KUEUE,
    PROMETHEUS,
    PROMETHEUS_VERSION,
)

# Short: where nothing is reachable (no network, a closed one), the build shall start at once.
_REACH_SECONDS = 4.0
_READ_SECONDS = 60.0
_IN_KUBEEDGE = {"cloudcore": "cloud/cloudcore/cloudcore", "edgecore": "edge/edgecore"}
_ARCHITECTURES = {"x86_64": "amd64", "aarch64": "arm64"}


@dataclass(frozen=True)
class Release:
    """A published file and its hashes. `member`: the program's path in the archive, if it is one."""

    url: str
    hashes_url: str
    member: str | None = None

    @property
    def file_name(self) -> str:
        return self.url.rpartition("/")[2]


def release_of(name: str, kubernetes: str = KUBERNETES_VERSION) -> Release | None:
    """Where a program is published; None where it is not, or not for this kind of machine.

    `kubernetes`: the version of those that are Kubernetes' own.
    """
    machine = _ARCHITECTURES.get(platform.machine())
    if machine is None or name in KUEUE.programs:
        return None
    if name == "etcd":
        base = f"https://github.com/etcd-io/etcd/releases/download/{ETCD_VERSION}"
        folder = f"etcd-{ETCD_VERSION}-linux-{machine}"
        return Release(f"{base}/{folder}.tar.gz", f"{base}/SHA256SUMS", f"{folder}/etcd")
    if name == "helm":
        url = f"https://get.helm.sh/helm-{HELM_VERSION}-linux-{machine}.tar.gz"
        return Release(url, f"{url}.sha256sum", f"linux-{machine}/helm")
    if name in PROMETHEUS.programs:
        base = f"https://github.com/prometheus/prometheus/releases/download/v{PROMETHEUS_VERSION}"
        folder = f"prometheus-{PROMETHEUS_VERSION}.linux-{machine}"
        return Release(f"{base}/{folder}.tar.gz", f"{base}/sha256sums.txt", f"{folder}/{name}")
    if name in _IN_KUBEEDGE:
        base = f"https://github.com/kubeedge/kubeedge/releases/download/{KUBEEDGE_VERSION}"
        folder = f"kubeedge-{KUBEEDGE_VERSION}-linux-{machine}"
        hashes = f"{base}/checksum_{folder}.tar.gz.txt"
        return Release(f"{base}/{folder}.tar.gz", hashes, f"{folder}/{_IN_KUBEEDGE[name]}")
    url = f"https://dl.k8s.io/release/{kubernetes}/bin/linux/{machine}/{name}"
    return Release(url, f"{url}.sha256")


def fetch(release: Release | None, target: Path, say: Callable[[str], None]) -> bool:
    """Download a program to `target`. False where there is no release, or it cannot be reached.

    Raises:
        LabError: what came is not what was published.
    """
    published = _within(_REACH_SECONDS, release.hashes_url) if release else None
    if release is None or published is None:
        return False
    say(f"downloading {release.url}")
    try:
        content = _read(release.url, _READ_SECONDS)
    except OSError as problem:
        say(f"{release.url}: {problem}")
        return False
    _verify(release, content, published.decode(errors="replace"))
    _install(_program(release, content), target)
    return True


def _within(seconds: float, url: str) -> bytes | None:
    """What lies at `url`, or None: looking a name up may hang for longer than any timeout of a socket."""
    got: list[bytes] = []

    def attempt() -> None:
        try:
            got.append(_read(url, seconds))
        except (OSError, ValueError):
            return

    thread = threading.Thread(target=attempt, daemon=True)
    thread.start()
    thread.join(seconds)
    return got[0] if got else None


def _read(url: str, seconds: float) -> bytes:
    with urllib.request.urlopen(url, timeout=seconds) as answer:
        return bytes(answer.read())


def _verify(release: Release, content: bytes, published: str) -> None:
    """Published hashes are a bare hash, or lines of hash and file name."""
    lines = [line.split() for line in published.splitlines() if line.strip()]
    known = [words[0] for words in lines if len(words) == 1 or words[-1].lstrip("*") == release.file_name]
    # A bare SHA-512 is what KubeEdge publishes.
    if not {hash_of(content).hexdigest() for hash_of in (hashlib.sha256, hashlib.sha512)} & {*known}:
        raise LabError(
            f"{release.url} does not have its published hash: nothing was installed, try again later"
        )


def _program(release: Release, content: bytes) -> bytes:
    if release.member is None:
        return content
    with tarfile.open(fileobj=io.BytesIO(content)) as archive:
        member = archive.extractfile(release.member)
        if member is None:
            raise LabError(f"{release.url} holds no {release.member}")
        return member.read()


def _install(program: bytes, target: Path) -> None:
    # Renamed into place: an interrupted download leaves nothing that looks like a program.
    draft = target.with_suffix(".new")
    draft.write_bytes(program)
    draft.chmod(0o755)
    draft.replace(target)
