"""Which programs, of which versions, built from which modules."""

import hashlib
import os
import platform
from collections.abc import Sequence
from dataclasses import dataclass, field
from pathlib import Path

KUBERNETES_VERSION = "v1.36.3"
OLDEST_KUBERNETES_VERSION = "v1.30.14"
"""Of the oldest API server that the operator is to work with; tests alone run it."""
ETCD_VERSION = "v3.6.8"
HELM_VERSION = "v4.3.1"
PROMETHEUS_VERSION = "3.11.3"
KUBEEDGE_VERSION = "v1.23.0"
KUEUE_VERSION = "v0.17.0"

_KUBERNETES = "k8s.io/kubernetes/cmd"
_VERSION_PACKAGES = ("k8s.io/component-base/version", "k8s.io/client-go/pkg/version")
_KUBEEDGE = "github.com/kubeedge/kubeedge"
KUEUE_MODULE = "sigs.k8s.io/kueue"


@dataclass(frozen=True)
class Module:
    """A Go module of ours below lab/build, and the programs that come from it: name -> package."""

    name: str
    programs: dict[str, str]
    link_flags: str
    kubernetes: str = field(default=KUBERNETES_VERSION, kw_only=True)
    """The version of those that are Kubernetes' own."""
    tags: str = field(default="", kw_only=True)
    """Of the build, separated by commas."""
    cgo: bool = field(default=False, kw_only=True)
    """Whether a part is written in C."""

    @property
    def directory(self) -> Path:
        return Path(__file__).resolve().parents[3] / "build" / self.name

    @property
    def cache(self) -> Path:
        """Where its programs are kept: another place for another go.sum or another kind of machine."""
        flags = self.link_flags + self.tags
        digest = hashlib.sha256((self.directory / "go.sum").read_bytes() + flags.encode())
        return cache_root() / f"{self.name}-{platform.machine()}-{digest.hexdigest()[:16]}"


def cache_root() -> Path:
    """$EDGELAB_CACHE, or `edgelab` in the user's cache directory."""
    if chosen := os.environ.get("EDGELAB_CACHE"):
        return Path(chosen)
    return Path(os.environ.get("XDG_CACHE_HOME") or Path.home() / ".cache") / "edgelab"


def _version_flags(version: str, packages: Sequence[str] = _VERSION_PACKAGES) -> str:
    major, minor, _ = version.removeprefix("v").split(".")
    values = {"gitVersion": version, "gitMajor": major, "gitMinor": minor}
    return " ".join(f"-X {p}.{key}={value}" for p in packages for key, value in values.items())


KUBERNETES = Module(
    "kubernetes",
    {
        "kube-apiserver": f"{_KUBERNETES}/kube-apiserver",
        "kube-controller-manager": f"{_KUBERNETES}/kube-controller-manager",
        "kube-scheduler": f"{_KUBERNETES}/kube-scheduler",
        "kubectl": f"{_KUBERNETES}/kubectl",
        "kubelet": f"{_KUBERNETES}/kubelet",
        "kube-proxy": f"{_KUBERNETES}/kube-proxy",
        "etcd": "go.etcd.io/etcd/server/v3",
    },
    f"-s -w {_version_flags(KUBERNETES_VERSION)}",
)
OLDEST_KUBERNETES = Module(
    "kubernetes-oldest",
    {"kube-apiserver": f"{_KUBERNETES}/kube-apiserver"},
    f"-s -w {_version_flags(OLDEST_KUBERNETES_VERSION)}",
    kubernetes=OLDEST_KUBERNETES_VERSION,
)
HELM = Module(
    "helm",
    {"helm": "helm.sh/helm/v4/cmd/helm"},
    f"-s -w -X helm.sh/helm/v4/internal/version.version={HELM_VERSION}",
)
PROMETHEUS = Module(
    "prometheus",
    {
        "prometheus": "github.com/prometheus/prometheus/cmd/prometheus",
        "promtool": "github.com/prometheus/prometheus/cmd/promtool",
    },
    f"-s -w -X github.com/prometheus/common/version.Version={PROMETHEUS_VERSION}",
    tags="remove_all_sd,enable_kubernetes_sd",
)
"""No lab needs it, but who looks at one does. Built from source it has its API and no pages to look at."""
KUBEEDGE = Module(
    "kubeedge",
    {"cloudcore": f"{_KUBEEDGE}/cloud/cmd/cloudcore", "edgecore": f"{_KUBEEDGE}/edge/cmd/edgecore"},
    f"-s -w {_version_flags(KUBEEDGE_VERSION, [f'{_KUBEEDGE}/pkg/version'])}",
    cgo=True,
)
"""Only labs with a node of this kind need it."""
KUEUE = Module(
    "kueue",
    {"kueue": f"{KUEUE_MODULE}/cmd/kueue"},
    f"-s -w -X {KUEUE_MODULE}/pkg/version.GitVersion={KUEUE_VERSION}",
)
"""Only labs whose jobs queue need it. It is published as an image alone."""
MODULES = (KUBERNETES, HELM)
