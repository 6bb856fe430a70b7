"""Finding the programs, and getting those that are missing.

In order: the directory that KUBEBUILDER_ASSETS names, the cache, the official releases, a build from source.
"""

import fcntl
import os
from collections.abc import Callable, Iterator, Sequence
from contextlib import contextmanager
from pathlib import Path

from edgelab.errors import LabError
from edgelab.programs import build, releases
from edgelab.programs.pinned import (
    ETCD_VERSION,
    HELM_VERSION,
    KUBEEDGE_VERSION,
    MODULES,
    PROMETHEUS_VERSION,
    Module,
    cache_root,
)
from edgelab.shell import run

Programs = dict[str, Path]
Say = Callable[[str], None]

_VERSION_ARGUMENTS = {"kubectl": ["version", "--client"], "helm": ["version"]}
_OTHER_VERSIONS = {
    "etcd": ETCD_VERSION.removeprefix("v"),
    "helm": HELM_VERSION,
    "prometheus": PROMETHEUS_VERSION,
    "promtool": PROMETHEUS_VERSION,
    "cloudcore": KUBEEDGE_VERSION,
    "edgecore": KUBEEDGE_VERSION,
}


def acquire(say: Say, modules: Sequence[Module] = MODULES) -> Programs:
    """Every program of these modules by its name; gets what is missing: minutes the first time.

    Raises:
        LabError: some program is nowhere to be had; the text says what to do.
    """
    given = _given(say, modules)
    for module in modules:
        wanted = [name for name in module.programs if name not in given]
        if _missing(module, wanted):
            with _locked():
                _get(module, _missing(module, wanted), say)
    return {name: given.get(name, module.cache / name) for module in modules for name in module.programs}


def _given(say: Say, modules: Sequence[Module]) -> Programs:
    """What KUBEBUILDER_ASSETS holds of our version: a kubelet may not be newer than its API server."""
    if not (directory := os.environ.get("KUBEBUILDER_ASSETS")):
        return {}
    found = {}
    versions = {name: module.kubernetes for module in modules for name in module.programs} | _OTHER_VERSIONS
    for name in (name for module in modules for name in module.programs):
        path = Path(directory, name).absolute()
        if not _is_program(path):
            continue
        if _has_version(path, versions[name]):
            found[name] = path
        else:
            say(f"{path} is not of version {versions[name]}: not used")
    return found


def _missing(module: Module, names: list[str]) -> list[str]:
    return [name for name in names if not _is_program(module.cache / name)]


def _get(module: Module, names: list[str], say: Say) -> None:
    if not names:
        return
    module.cache.mkdir(parents=True, exist_ok=True)
    left = list(names)
    # One that cannot be reached tells enough: each further try would cost its whole timeout.
    while left and releases.fetch(_release(module, left[0]), module.cache / left[0], say):
        left.pop(0)
    if left:
        build.build(module, left, say)


def _release(module: Module, name: str) -> releases.Release | None:
    return releases.release_of(name, module.kubernetes)


def _is_program(path: Path) -> bool:
    return path.is_file() and os.access(path, os.X_OK)


def _has_version(path: Path, wanted: str) -> bool:
    try:
        shown = run([path, *_VERSION_ARGUMENTS.get(path.name, ["--version"])])
    except LabError:
        return False
    return wanted in shown


@contextmanager
def _locked() -> Iterator[None]:
    """Two labs that start at once build once."""
    cache_root().mkdir(parents=True, exist_ok=True)
    with (cache_root() / ".lock").open("w") as held:
        fcntl.flock(held, fcntl.LOCK_EX)
        yield
